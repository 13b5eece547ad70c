//! One shape for everything that looks at a body while it passes: what counts, times, bounds or completes it says only what
//! it does with the next frame.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

/// The next frame, an error, or the end.
pub(crate) type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// What looks at a body.
pub(crate) trait Watch: Send + Unpin + 'static {
    /// The next frame: that of `inner`, or another one. After trailers or an error it is not asked again.
    fn next(&mut self, inner: Pin<&mut Body>, cx: &mut Context<'_>) -> Polled;
}

/// A body that somebody looks at.
pub(crate) struct Watched<W> {
    inner: Body,
    watch: W,
    over: bool,
}

impl<W: Watch> Watched<W> {
    pub(crate) fn around(inner: Body, watch: W) -> Body {
        Body::new(Self { inner, watch, over: false })
    }
}

impl<W: Watch> http_body::Body for Watched<W> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        let polled = this.watch.next(Pin::new(&mut this.inner), cx);
        this.over = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.over || http_body::Body::is_end_stream(&self.inner)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
