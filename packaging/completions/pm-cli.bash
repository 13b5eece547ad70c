# Completion of pm-cli for bash. The program itself knows what fits, names of processes included.
# To try it: source <(pm-cli completion bash). To install it: /usr/share/bash-completion/completions/pm-cli

_pm_cli() {
    local line=${COMP_LINE:0:COMP_POINT} word value rest
    # bash takes a word apart behind = : and @, and replaces only the last part.
    word=${line##*[[:space:]]}
    local kept=${word%"${word##*[=:@]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r value rest; do
        if [[ $value == ":files" ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r value; do
                COMPREPLY+=("$value")
            done < <(compgen -f -- "${word##*[=:@]}")
        else
            COMPREPLY+=("${value#"$kept"}")
        fi
    done < <("$1" __complete -- "$line" 2>/dev/null)
    # More is to come behind the = of an option.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _pm_cli pm-cli
