//! Reflection, made when somebody first asks for it: an index of all descriptors takes 350 KB, and few daemons are ever
//! asked.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic_reflection::server::Builder;
use tower::Service;

use crate::DESCRIPTOR;

/// What is described.
pub(crate) fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// One version of the service. Python's grpcio-reflection still asks for v1alpha, buf for v1.
pub(crate) struct Described<S> {
    make: fn() -> Option<S>,
    made: Arc<OnceLock<Option<S>>>,
}

impl<S> Described<S> {
    pub(crate) fn new(make: fn() -> Option<S>) -> Self {
        Self { make, made: Arc::default() }
    }
}

impl<S> Clone for Described<S> {
    fn clone(&self) -> Self {
        Self { make: self.make, made: Arc::clone(&self.made) }
    }
}

impl<S: NamedService> NamedService for Described<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Described<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    /// Always: so is what is made.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.made.get_or_init(self.make).clone() {
            Some(mut service) => Box::pin(service.call(request)),
            // The descriptors are compiled in: a fault of the build, which the tests would have seen.
            None => Box::pin(ready(Ok(Status::unimplemented("the descriptors can't be read").into_http()))),
        }
    }
}
