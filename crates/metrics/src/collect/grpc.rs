//! Calls of the control API, named as other gRPC servers name them.

use crate::names::{GRPC_HANDLED, GRPC_HANDLING, GRPC_STARTED};
use crate::source::GrpcMethod;
use crate::text::Text;

/// All methods.
pub(crate) fn write(methods: &[GrpcMethod], out: &mut Text) {
    let mut family = out.family(&GRPC_STARTED);
    methods.iter().for_each(|m| family.add(&m.labels(), m.started));
    let mut family = out.family(&GRPC_HANDLED);
    for method in methods {
        let [kind, service, name] = method.labels();
        for (code, count) in &method.handled {
            family.add(&[kind, service, name, code], *count);
        }
    }
    let mut family = out.family(&GRPC_HANDLING);
    for method in methods.iter().filter(|m| m.started > 0) {
        let count = method.handled.iter().map(|(_, count)| count).sum();
        let mut below = 0;
        let buckets = method.took.iter().map(|(bound, count)| {
            below += count;
            (bound.as_secs_f64(), below)
        });
        family.add_histogram(&method.labels(), buckets, method.total.into(), count);
    }
}

impl GrpcMethod {
    fn labels(&self) -> [&str; 3] {
        [if self.streams { "server_stream" } else { "unary" }, self.service, self.name]
    }
}
