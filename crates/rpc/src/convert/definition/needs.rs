//! What a process needs of others.

use model::{Dependency, Readiness};

use super::check::Check;
use crate::v1;

pub(super) fn dependencies(list: Vec<Dependency>) -> v1::DependencyList {
    let values = list.into_iter().map(|needed| v1::Dependency {
        name: needed.name.to_string(),
        until: needed.until.map_or(v1::Readiness::Unspecified, readiness).into(),
    });
    v1::DependencyList { values: values.collect() }
}

fn readiness(until: Readiness) -> v1::Readiness {
    match until {
        Readiness::Started => v1::Readiness::Started,
        Readiness::Ready => v1::Readiness::Ready,
        Readiness::Healthy => v1::Readiness::Healthy,
        Readiness::Completed => v1::Readiness::Completed,
    }
}

impl Check {
    pub(super) fn dependencies(
        &mut self,
        field: &str,
        list: Option<v1::DependencyList>,
    ) -> Option<Vec<Dependency>> {
        Some(self.items(field, list?.values, |check, field, item| {
            let until = check.choice(&format!("{field}.until"), item.until, |w| match w {
                v1::Readiness::Unspecified => None,
                v1::Readiness::Started => Some(Readiness::Started),
                v1::Readiness::Ready => Some(Readiness::Ready),
                v1::Readiness::Healthy => Some(Readiness::Healthy),
                v1::Readiness::Completed => Some(Readiness::Completed),
            });
            let name = check.name(&format!("{field}.name"), &item.name)?;
            Some(Dependency { name, until })
        }))
    }
}
