//! Who may read metrics, and whether with TLS: one file, in the format of the exporters' `--web.config.file`.
//!
//! It is read at the start and with each reload. What can't be used changes nothing but the problem that is shown: while
//! nothing good was read at all, the port stays closed. It is never open to more than the file says.

mod file;
mod users;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use hyper::header::{AUTHORIZATION, HeaderMap};
use tls::{Live, Protocol};

use file::WebFile;
use users::Users;

/// What is wrong with the file, or with one that it names; the text says which, why, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebError(String);

/// The file and what is in force.
pub struct Web {
    path: PathBuf,
    state: RwLock<(Option<Arc<Rules>>, Option<WebError>)>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("path", &self.path)
            .field("problem", &self.problem())
            .finish_non_exhaustive()
    }
}

impl Web {
    /// Nothing is in force until the first [`Web::reload`].
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), state: RwLock::new((None, None)) }
    }

    /// Reads the file and those that it names. Blocks.
    pub fn reload(&self) -> Result<(), WebError> {
        let read = Rules::read(&self.path);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(rules) => {
                *state = (Some(Arc::new(rules)), None);
                Ok(())
            }
            Err(error) => {
                state.1 = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Why the file is not what is in force; `None` = it is.
    #[must_use]
    pub fn problem(&self) -> Option<WebError> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// What should be looked at although it works.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let live = self.rules().and_then(|rules| rules.tls.clone());
        live.map(|live| live.warnings().iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// What is in force.
    pub(super) fn rules(&self) -> Option<Arc<Rules>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

/// What a good file says.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// With it, nothing else is spoken.
    pub(super) tls: Option<Arc<Live>>,
    users: Users,
    bearer: Option<Vec<u8>>,
}

/// Whether a request may have what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    /// Nothing, or nothing right, was presented.
    No,
    /// Too many passwords wait to be looked at.
    Busy,
}

impl Rules {
    fn read(path: &Path) -> Result<Self, WebError> {
        let file = WebFile::read(path)?;
        let tls = file.tls.map(|(files, auth)| {
            let live = Live::new(Protocol::Http1);
            live.load(&files, auth).map_err(|problem| WebError(problem.to_string()))?;
            Ok(Arc::new(live))
        });
        let bearer = file.bearer_token_file.map(|path| file::token(&path));
        Ok(Self { tls: tls.transpose()?, users: Users::new(file.users), bearer: bearer.transpose()? })
    }

    /// Whether anybody has to say who they are.
    pub(super) fn asks(&self) -> bool {
        !self.users.is_empty() || self.bearer.is_some()
    }

    /// What a client may present, for `WWW-Authenticate`.
    pub(super) fn schemes(&self) -> impl Iterator<Item = &'static str> {
        let basic = (!self.users.is_empty()).then_some(r#"Basic realm="dd-procmgrd", charset="UTF-8""#);
        let bearer = self.bearer.is_some().then_some(r#"Bearer realm="dd-procmgrd""#);
        basic.into_iter().chain(bearer)
    }

    /// Looks at what a request presents.
    pub(super) async fn judge(&self, headers: &HeaderMap) -> Verdict {
        if !self.asks() {
            return Verdict::Yes;
        }
        let Some(value) = headers.get(AUTHORIZATION) else { return Verdict::No };
        let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return Verdict::No;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            let right = self.bearer.as_deref().is_some_and(|token| same(token, rest.trim().as_bytes()));
            return if right { Verdict::Yes } else { Verdict::No };
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return self.users.judge(rest.trim()).await;
        }
        Verdict::No
    }
}

/// Takes the same time wherever they differ.
fn same(expected: &[u8], given: &[u8]) -> bool {
    let differing = expected.iter().zip(given).fold(0, |acc, (a, b)| acc | (a ^ b));
    expected.len() == given.len() && differing == 0
}

#[cfg(test)]
mod tests;
