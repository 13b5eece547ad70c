#!/bin/sh
# Installs dd-procmgrd from the unpacked archive that this script lies in, or removes what it installed.
set -eu

usage() {
    cat <<'END'
Usage: ./install.sh [OPTION]...          as root: for the system
       ./install.sh --user [OPTION]...   for yourself, below ~/.local
       ./install.sh --uninstall [--user] [--purge]

  --prefix DIR     where programs and pages go [/usr/local; with --user ~/.local]
  --unit NAME      root, capability, secure or none [root; none without systemd]
  --user           a service of your own systemd, without root
  --uninstall      stops the service and removes what was installed; definitions, state and logs stay
  --purge          with --uninstall: definitions, state and logs go, too
  --destdir DIR    put everything below DIR and touch neither users nor services (for building packages)
  --help           this text
END
}

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
wrong() { printf 'install.sh: %s\nTry ./install.sh --help\n' "$*" >&2; exit 2; }

prefix= unit= user=no uninstall=no purge=no destdir=
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix | --unit | --destdir)
            [ $# -ge 2 ] && [ -n "$2" ] || wrong "$1 needs a value"
            case "$1" in
                --prefix) prefix=$2 ;;
                --unit) unit=$2 ;;
                --destdir) destdir=$2 ;;
            esac
            shift
            ;;
        --user) user=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --help | -h) usage; exit 0 ;;
        *) wrong "unknown option: $1" ;;
    esac
    shift
done
case "$unit" in
    '' | root | capability | secure | none) ;;
    *) wrong "--unit $unit: must be root, capability, secure or none" ;;
esac
[ "$purge" = no ] || [ "$uninstall" = yes ] || wrong "--purge needs --uninstall"

if [ "$user" = yes ]; then
    [ "$(id -u)" -ne 0 ] || fail "--user is for a user, and this is root: leave it away to install for the system"
    [ -z "$unit" ] || wrong "--unit is for the system; with --user there is one unit"
    : "${HOME:?HOME is not set}"
    prefix=${prefix:-$HOME/.local}
    config=${XDG_CONFIG_HOME:-$HOME/.config}
    etc=$config/dd-procmgrd
    units=$config/systemd/user
    systemctl="systemctl --user"
else
    [ -n "$destdir" ] || [ "$(id -u)" -eq 0 ] || fail "needs root; for yourself alone: ./install.sh --user"
    prefix=${prefix:-/usr/local}
    etc=/etc/dd-procmgrd
    units=/etc/systemd/system
    systemctl=systemctl
fi
case "$prefix" in
    /*[[:space:]\|\&\\]*) fail "--prefix $prefix: blanks, |, & and \\ can't stand in it" ;;
    /*) ;;
    *) wrong "--prefix $prefix: must begin with /" ;;
esac
manifest=$prefix/share/dd-procmgrd/manifest

# Whether a systemd runs that can be asked.
has_systemd() {
    [ -z "$destdir" ] && [ -d /run/systemd/system ] && command -v systemctl > /dev/null
}

if [ "$uninstall" = yes ]; then
    [ -f "$destdir$manifest" ] || fail "nothing was installed with this prefix: there is no $destdir$manifest"
    if has_systemd; then
        $systemctl disable --now --quiet dd-procmgrd 2> /dev/null || true
    fi
    while IFS= read -r path; do
        rm -f "$destdir$path"
    done < "$destdir$manifest"
    rm -f "$destdir$manifest"
    for dir in share/dd-procmgrd share/doc/dd-procmgrd; do
        find "$destdir$prefix/$dir" -depth -type d -exec rmdir {} \; 2> /dev/null || true
    done
    if has_systemd; then
        $systemctl daemon-reload || true
    fi
    if [ "$purge" = no ]; then
        say "removed; $etc, state and logs are still there"
    elif [ "$user" = yes ]; then
        rm -rf "$etc" "${XDG_STATE_HOME:-$HOME/.local/share}/dd-procmgrd"
        say "removed, with definitions, state and logs"
    else
        rm -rf "$destdir$etc" "$destdir/var/lib/dd-procmgrd" "$destdir/var/log/dd-procmgrd"
        say "removed, with definitions, state and logs; the user dd-procmgrd is still there"
    fi
    exit 0
fi

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ -x "$here/bin/dd-procmgrd" ] || fail "there is no bin/dd-procmgrd beside this script: unpack the whole archive"
# Before anything is touched: a build for another machine says so now.
"$here/bin/dd-procmgrd" --version > /dev/null || fail "$here/bin/dd-procmgrd can't be executed on this machine"
if [ -z "$unit" ] && [ "$user" = no ]; then
    if has_systemd || [ -n "$destdir" ]; then unit=root; else unit=none; fi
fi

mkdir -p "$destdir$prefix/share/dd-procmgrd"
new=$destdir$manifest.new
: > "$new"

# put SOURCE DESTINATION MODE: beside the old file, then renamed, as a program that runs can't be written.
put() {
    mkdir -p "$destdir$(dirname "$2")"
    cp "$1" "$destdir$2.new"
    chmod "$3" "$destdir$2.new"
    mv -f "$destdir$2.new" "$destdir$2"
    printf '%s\n' "$2" >> "$new"
}

for path in bin/dd-procmgrd bin/pm-cli; do
    put "$here/$path" "$prefix/$path" 755
done
ln -sf pm-cli "$destdir$prefix/bin/dd-procmgr-cli"
printf '%s\n' "$prefix/bin/dd-procmgr-cli" >> "$new"
(cd "$here/share" && find . -type f) | sort | while IFS= read -r path; do
    put "$here/share/${path#./}" "$prefix/share/${path#./}" 644
done
put "$here/install.sh" "$prefix/share/dd-procmgrd/install.sh" 755

# put_unit FILE: with the place of the program, and never over a unit that somebody else put there.
put_unit() {
    target=$units/dd-procmgrd.service
    if [ -e "$destdir$target" ] && ! grep -qxF "$target" "$destdir$manifest" 2> /dev/null; then
        say "note: $target was not installed by this script and stays as it is"
        return
    fi
    mkdir -p "$destdir$units"
    sed "s|^ExecStart=.*/dd-procmgrd\$|ExecStart=$prefix/bin/dd-procmgrd|" "$here/systemd/$1" > "$destdir$target"
    printf '%s\n' "$target" >> "$new"
}

if [ "$user" = yes ]; then
    mkdir -p "$etc"
    put_unit dd-procmgrd-user.service
else
    case "$unit" in
        root) put_unit dd-procmgrd.service ;;
        capability | secure) put_unit "dd-procmgrd-$unit.service" ;;
        none) ;;
    esac
    if [ -z "$destdir" ] && ! grep -q '^dd-procmgrd:' /etc/group; then
        groupadd --system dd-procmgrd 2> /dev/null || addgroup -S dd-procmgrd \
            || fail "the group dd-procmgrd can't be made: make it, and run this again"
    fi
    if [ -z "$destdir" ] && ! grep -q '^dd-procmgrd:' /etc/passwd; then
        useradd --system --gid dd-procmgrd --no-create-home --home-dir /var/lib/dd-procmgrd --shell /bin/false dd-procmgrd \
            2> /dev/null || adduser -S -D -H -h /var/lib/dd-procmgrd -s /bin/false -G dd-procmgrd dd-procmgrd \
            || fail "the user dd-procmgrd can't be made: make it, and run this again"
    fi
    [ -d "$destdir$etc" ] || mkdir -p -m 700 "$destdir$etc"
    if [ "$unit" = capability ] && [ -z "$destdir" ]; then
        # The daemon reads definitions as its own user.
        chgrp dd-procmgrd "$etc"
        chmod 750 "$etc"
    fi
    if [ -d "$destdir/usr/lib/systemd/catalog" ]; then
        put "$here/systemd/dd-procmgrd.catalog" /usr/lib/systemd/catalog/dd-procmgrd.catalog 644
        [ -n "$destdir" ] || journalctl --update-catalog || true
    fi
fi
for file in processes.yaml daemon.env; do
    if [ ! -e "$destdir$etc/$file" ]; then
        cp "$here/etc/$file" "$destdir$etc/$file"
        chmod 640 "$destdir$etc/$file"
        if [ "$unit" = capability ] && [ -z "$destdir" ]; then chgrp dd-procmgrd "$etc/$file"; fi
    fi
done

# What an earlier version had and this one has not.
if [ -f "$destdir$manifest" ]; then
    while IFS= read -r path; do
        grep -qxF "$path" "$new" || rm -f "$destdir$path"
    done < "$destdir$manifest"
fi
mv -f "$new" "$destdir$manifest"

say "installed below $prefix"
if has_systemd && [ "$unit" != none ]; then
    $systemctl daemon-reload || true
    if $systemctl --quiet is-active dd-procmgrd 2> /dev/null; then
        say "The running daemon and its processes were left as they are. To change over, which restarts the processes:"
        say "    $systemctl restart dd-procmgrd"
    else
        say "To start it now and at each boot:"
        say "    $systemctl enable --now dd-procmgrd"
    fi
elif [ -z "$destdir" ]; then
    say "To start it in the foreground:"
    say "    $prefix/bin/dd-procmgrd"
fi
case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) say "note: $prefix/bin is not in PATH" ;;
esac
