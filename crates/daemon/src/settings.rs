//! Where everything is: command line, environment, systemd's directories, and the defaults for root and for a user.

use std::env;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use tls::ClientAuth;

use crate::args::{Args, Console};
use crate::init::is_init;

/// Everything that is decided before the first thread starts.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where definitions come from.
    pub(crate) layout: config::Layout,
    /// Whether definitions that can't be read keep the daemon from starting. True where somebody named the file on
    /// the command line and watches; at boot, what can be run shall run.
    pub(crate) strict: bool,
    /// What the daemon keeps over restarts.
    pub(crate) state_dir: PathBuf,
    /// Control socket and token.
    pub(crate) runtime_dir: PathBuf,
    /// gRPC over TCP.
    pub(crate) grpc: Option<SocketAddr>,
    /// Certificates for gRPC over TCP; `None` = plain HTTP/2.
    pub(crate) tls: Option<(tls::Files, ClientAuth)>,
    /// Metrics over HTTP.
    pub(crate) metrics: Option<SocketAddr>,
    /// The file that says who may read metrics, and whether with TLS.
    pub(crate) web_config: Option<PathBuf>,
    /// Show the children's lines on standard output.
    pub(crate) console: bool,
    /// With colored names.
    pub(crate) color: bool,
    /// Whether this is the init of a container.
    pub(crate) init: bool,
    /// Whether there is a directory for log files; only as `init` there may be none.
    pub(crate) log_files: bool,
    /// The journal's native socket; `None` = no journal.
    pub(crate) journal: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn socket(&self) -> PathBuf {
        self.runtime_dir.join("control.sock")
    }

    /// Where the sockets are that processes report to.
    pub(crate) fn notify_dir(&self) -> PathBuf {
        self.runtime_dir.join("notify")
    }

    /// Where `runtime_directory` of each process is made.
    pub(crate) fn process_dirs(&self) -> PathBuf {
        self.runtime_dir.join("processes")
    }

    pub(crate) fn from_process(args: &Args) -> Result<Self> {
        let uid = nix::unistd::geteuid();
        let lookup = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
        let console = match args.console {
            Console::Always => true,
            Console::Never => false,
            // A container's log is what its init prints.
            Console::Auto => std::io::stdout().is_terminal() || is_init(),
        };
        let cwd = env::current_dir().context("the current directory is gone; start from one that exists")?;
        let settings = Self::resolve(args.config.as_deref(), uid.as_raw(), is_init(), &cwd, &lookup)?;
        let color = std::io::stdout().is_terminal() && lookup("NO_COLOR").is_none();
        Ok(Self { console, color, ..settings })
    }

    /// The same from explicit inputs.
    fn resolve(
        config: Option<&Path>,
        uid: u32,
        init: bool,
        cwd: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        // systemd may give several directories, separated by colons; the first one is ours.
        let given = |name: &str| env(name).map(|v| PathBuf::from(v.split(':').next().unwrap_or_default()));
        let dirs = Directories::standard(uid == 0 || init, uid, env)?;
        let config_dir = given("CONFIGURATION_DIRECTORY").unwrap_or(dirs.config);
        let state_dir = given("STATE_DIRECTORY").unwrap_or(dirs.state);
        let log_dir = given("LOGS_DIRECTORY").unwrap_or(dirs.logs);
        let runtime_dir = given("RUNTIME_DIRECTORY").unwrap_or(dirs.runtime);
        let named = config.map(Path::to_path_buf).or_else(|| env("PM_CONFIG_PATH").map(PathBuf::from));
        let main = named.map_or_else(|| config_dir.join("processes.yaml"), |path| cwd.join(path));
        let grpc = grpc_address(env("PM_BIND_ADDRESS").as_deref())?;
        let beside = main.parent().unwrap_or(Path::new("/")).to_path_buf();
        Ok(Self {
            layout: config::Layout {
                main,
                package_dir: PathBuf::from("/usr/lib/dd-procmgrd/processes.d"),
                admin_dir: beside.join("processes.d"),
                overrides_dir: beside.join("overrides.d"),
                runtime_dir: state_dir.join("processes.d"),
                log_dir,
            },
            strict: config.is_some(),
            state_dir,
            runtime_dir,
            grpc,
            tls: tls_files(cwd, grpc, env)?,
            metrics: metrics_address(env)?,
            web_config: env("METRICS_WEB_CONFIG").map(|path| cwd.join(path)),
            console: false,
            color: false,
            init,
            log_files: true,
            journal: journal_socket(env("PM_JOURNAL_SOCKET").as_deref())?,
        })
    }
}

struct Directories {
    config: PathBuf,
    state: PathBuf,
    logs: PathBuf,
    runtime: PathBuf,
}

impl Directories {
    /// The system's, or a user's own.
    fn standard(system: bool, uid: u32, env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        const NAME: &str = "dd-procmgrd";
        if system {
            return Ok(Self {
                config: Path::new("/etc").join(NAME),
                state: Path::new("/var/lib").join(NAME),
                logs: Path::new("/var/log").join(NAME),
                runtime: Path::new("/run").join(NAME),
            });
        }
        let home = env("HOME").map(PathBuf::from);
        let below_home = |sub: &str| home.clone().map(|h| h.join(sub));
        let base = |var: &str, sub: &str| {
            env(var).map(PathBuf::from).or_else(|| below_home(sub)).with_context(|| {
                format!("neither {var} nor HOME is set\n\nhint: set HOME, or STATE_DIRECTORY, LOGS_DIRECTORY and --config")
            })
        };
        let state = base("XDG_STATE_HOME", ".local/share")?.join(NAME);
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config")?.join(NAME),
            logs: state.join("logs"),
            state,
            runtime: env("XDG_RUNTIME_DIR").map_or_else(
                || PathBuf::from(format!("/tmp/{NAME}-{uid}")),
                |dir| Path::new(&dir).join(NAME),
            ),
        })
    }
}

fn grpc_address(text: Option<&str>) -> Result<Option<SocketAddr>> {
    match text {
        None => Ok(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)))),
        Some("off" | "none") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|error| {
            anyhow!(
                "PM_BIND_ADDRESS={text:?} is not an address: {error}\n\nhint: write it as 127.0.0.1:50051, or off for no TCP"
            )
        }),
    }
}

/// Where nobody but this machine can come, a certificate is one way to prove who one is; from elsewhere it is the only one.
fn tls_files(
    cwd: &Path,
    grpc: Option<SocketAddr>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(tls::Files, ClientAuth)>> {
    let path = |name: &str| env(name).map(|path| cwd.join(path));
    let client_ca = path("PM_TLS_CLIENT_CA");
    let (cert, key) = match (path("PM_TLS_CERT"), path("PM_TLS_KEY")) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) if client_ca.is_none() => return Ok(None),
        (None, None) => bail!(
            "PM_TLS_CLIENT_CA is set, PM_TLS_CERT and PM_TLS_KEY are not\n\nhint: set all three, or none"
        ),
        (Some(_), None) => bail!(
            "PM_TLS_CERT is set, PM_TLS_KEY is not\n\nhint: set it to the file of the certificate's key"
        ),
        (None, Some(_)) => bail!(
            "PM_TLS_KEY is set, PM_TLS_CERT is not\n\nhint: set it to the file of the key's certificate"
        ),
    };
    let auth = match &client_ca {
        None => ClientAuth::None,
        Some(_) if grpc.is_some_and(|address| !address.ip().is_loopback()) => ClientAuth::Required,
        Some(_) => ClientAuth::Optional,
    };
    Ok(Some((tls::Files { cert, key, client_ca }, auth)))
}

/// Another journal than the system's is one of a namespace: `/run/systemd/journal.NAME/socket`.
fn journal_socket(text: Option<&str>) -> Result<Option<PathBuf>> {
    match text {
        None => Ok(Some(PathBuf::from("/run/systemd/journal/socket"))),
        Some("off" | "none") => Ok(None),
        Some(path) if path.starts_with('/') => Ok(Some(PathBuf::from(path))),
        Some(other) => {
            bail!("PM_JOURNAL_SOCKET={other:?} is no absolute path\n\nhint: off for no journal")
        }
    }
}

fn metrics_address(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<SocketAddr>> {
    match env("METRICS_ENABLED").as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "1" | "yes" | "on") => {}
        Some("false" | "0" | "no" | "off") => return Ok(None),
        Some(other) => bail!("METRICS_ENABLED={other:?} is neither true nor false"),
    }
    let port = env("METRICS_PORT").unwrap_or_else(|| "9090".into());
    let port: u16 =
        port.parse().with_context(|| format!("METRICS_PORT={port:?} is not a port from 0 to 65535"))?;
    let ip = env("METRICS_BIND_ADDRESS").unwrap_or_else(|| "127.0.0.1".into());
    let ip: IpAddr = ip.parse().map_err(|error| {
        anyhow!("METRICS_BIND_ADDRESS={ip:?} is not an IP address: {error}\n\nhint: the port goes into METRICS_PORT")
    })?;
    Ok(Some(SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(uid: u32, config: Option<&str>, vars: &[(&str, &str)]) -> Result<Settings> {
        let lookup = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::resolve(config.map(Path::new), uid, false, Path::new("/cwd"), &lookup)
    }

    #[test]
    fn the_init_of_a_container_uses_the_systems_directories_whoever_it_is() {
        let s = Settings::resolve(None, 1000, true, Path::new("/"), &|_| None).unwrap();
        assert_eq!(s.layout.main, Path::new("/etc/dd-procmgrd/processes.yaml"));
        assert_eq!(s.socket(), Path::new("/run/dd-procmgrd/control.sock"));
        assert_eq!(s.notify_dir(), Path::new("/run/dd-procmgrd/notify"));
        assert_eq!(s.process_dirs(), Path::new("/run/dd-procmgrd/processes"));
        assert!(s.init && s.log_files);
    }

    #[test]
    fn root_uses_the_system_directories() {
        let s = resolve(0, None, &[]).unwrap();
        assert_eq!(s.layout.main, Path::new("/etc/dd-procmgrd/processes.yaml"));
        assert_eq!(s.layout.admin_dir, Path::new("/etc/dd-procmgrd/processes.d"));
        assert_eq!(s.layout.runtime_dir, Path::new("/var/lib/dd-procmgrd/processes.d"));
        assert_eq!(s.layout.log_dir, Path::new("/var/log/dd-procmgrd"));
        assert_eq!(s.socket(), Path::new("/run/dd-procmgrd/control.sock"));
        assert_eq!(s.grpc.unwrap().to_string(), "127.0.0.1:50051");
        assert_eq!(s.metrics.unwrap().to_string(), "127.0.0.1:9090");
        assert_eq!(s.journal.unwrap(), Path::new("/run/systemd/journal/socket"));
    }

    #[test]
    fn another_journal_or_none_can_be_chosen() {
        let journal = |value| resolve(0, None, &[("PM_JOURNAL_SOCKET", value)]).unwrap().journal;
        assert_eq!(
            journal("/run/systemd/journal.web/socket").unwrap(),
            Path::new("/run/systemd/journal.web/socket")
        );
        assert_eq!(journal("off"), None);
    }

    #[test]
    fn a_user_gets_xdg_directories() {
        let s =
            resolve(1000, Some("ex/p.yaml"), &[("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/run/user/1000")])
                .unwrap();
        assert_eq!(s.layout.main, Path::new("/cwd/ex/p.yaml"));
        assert_eq!(s.layout.log_dir, Path::new("/home/u/.local/share/dd-procmgrd/logs"));
        assert_eq!(s.runtime_dir, Path::new("/run/user/1000/dd-procmgrd"));
        let s = resolve(1000, None, &[("HOME", "/home/u"), ("XDG_STATE_HOME", "/st")]).unwrap();
        assert_eq!(s.layout.main, Path::new("/home/u/.config/dd-procmgrd/processes.yaml"));
        assert_eq!(s.state_dir, Path::new("/st/dd-procmgrd"));
        assert_eq!(s.runtime_dir, Path::new("/tmp/dd-procmgrd-1000"));
        assert!(resolve(1000, None, &[]).unwrap_err().to_string().contains("HOME"));
    }

    #[test]
    fn systemd_directories_win() {
        let s = resolve(
            0,
            None,
            &[
                ("STATE_DIRECTORY", "/s:/other"),
                ("LOGS_DIRECTORY", "/l"),
                ("RUNTIME_DIRECTORY", "/r"),
                ("CONFIGURATION_DIRECTORY", "/c"),
            ],
        )
        .unwrap();
        assert_eq!(s.state_dir, Path::new("/s"));
        assert_eq!(s.layout.log_dir, Path::new("/l"));
        assert_eq!(s.runtime_dir, Path::new("/r"));
        assert_eq!(s.layout.main, Path::new("/c/processes.yaml"));
    }

    #[test]
    fn tls_is_all_or_nothing() {
        const CERT: (&str, &str) = ("PM_TLS_CERT", "c.pem");
        const KEY: (&str, &str) = ("PM_TLS_KEY", "/k.pem");
        const CA: (&str, &str) = ("PM_TLS_CLIENT_CA", "/ca.pem");
        const ANY: (&str, &str) = ("PM_BIND_ADDRESS", "0.0.0.0:50051");
        let tls = |vars: &[(&str, &str)]| resolve(0, None, vars).map(|settings| settings.tls);
        assert_eq!(tls(&[]).unwrap(), None);
        let (files, auth) = tls(&[CERT, KEY]).unwrap().unwrap();
        assert_eq!((files.cert.to_str(), files.key.to_str()), (Some("/cwd/c.pem"), Some("/k.pem")));
        assert_eq!((files.client_ca, auth), (None, ClientAuth::None));
        assert_eq!(tls(&[CERT, KEY, CA]).unwrap().unwrap().1, ClientAuth::Optional);
        assert_eq!(tls(&[CERT, KEY, CA, ANY]).unwrap().unwrap().1, ClientAuth::Required);
        for (vars, missing) in [
            (&[CERT][..], "PM_TLS_KEY is not"),
            (&[KEY], "PM_TLS_CERT is not"),
            (&[CA], "PM_TLS_CERT and PM_TLS_KEY are not"),
            (&[CA, CERT], "PM_TLS_KEY is not"),
        ] {
            let error = tls(vars).unwrap_err().to_string();
            assert!(error.contains(missing) && error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn bad_addresses_are_named() {
        for (var, value) in [
            ("PM_BIND_ADDRESS", "localhost"),
            ("METRICS_PORT", "99999"),
            ("METRICS_BIND_ADDRESS", "127.0.0.1:9090"),
            ("METRICS_ENABLED", "maybe"),
            ("PM_JOURNAL_SOCKET", "journal/socket"),
        ] {
            let error = resolve(0, None, &[(var, value)]).unwrap_err().to_string();
            assert!(error.contains(var), "{error}");
        }
        assert_eq!(
            resolve(0, None, &[("PM_BIND_ADDRESS", "off"), ("METRICS_ENABLED", "false")]).unwrap().metrics,
            None
        );
    }
}
