//! What HTTP hands on: its facts to the subject, and its stream to the layer that it opened.

use super::layer::{Layer, read};
use super::subject::Subject;
use crate::http;
use crate::pipeline::records::Pending;
use crate::pipeline::{Finished, Shared};
use crate::websocket;

/// How many tunnels may lie in one another.
///
/// Rationale: a proxy behind a proxy is two; more layers cost the stack of calls more.
const TUNNELS_MAX: usize = 4;
/// `above` is the layer that reads what HTTP hands on.
pub(super) fn on_http(
    output: http::Output<'_>,
    subject: &mut Subject,
    pending: &mut Pending,
    above: &mut Option<Box<Layer>>,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    match output {
        http::Output::Stream(event) => {
            if let Some(above) = above {
                read(above, subject, pending, event, shared, finished);
            }
        }
        http::Output::Fact(http::Event::UpgradeRequested { request, breaches }) => {
            subject.begin_session(*request, breaches, pending, shared, finished);
        }
        http::Output::Fact(http::Event::Tunnelled(tunnel)) => {
            let inside = match subject.leg().via.len() {
                ..TUNNELS_MAX => Layer::of_unknown(),
                _ => Layer::Opaque,
            };
            *above = Some(Box::new(inside));
            subject.enter_tunnel(*tunnel, pending, shared, finished);
        }
        http::Output::Fact(event) => {
            if let http::Event::Upgraded { response, .. } = &event {
                subject.begin_with_answer(response.first, pending, shared, finished);
            }
            let deflate = match &event {
                http::Event::Upgraded { agreement, .. } => Some(agreement.deflate),
                http::Event::AnswerLost { .. } => Some(subject.offered_deflate()),
                _ => None,
            };
            if let Some(deflate) = deflate {
                let (deflate, wants) = (deflate.map(parameters_of), shared.options.wants);
                let hint = Some(subject.hint(&event));
                let parameters = websocket::Parameters {
                    deflate,
                    wants,
                    hint,
                };
                let websocket = Box::new(websocket::Connection::new(parameters));
                *above = Some(Box::new(Layer::WebSocket(websocket)));
            }
            if let http::Event::AnswerCut { behind, .. } = &event {
                let websocket = websocket::Connection::behind(*behind, shared.options.wants);
                *above = Some(Box::new(Layer::WebSocket(Box::new(websocket))));
            }
            subject.on_http(&event, shared);
        }
    }
}

fn parameters_of(agreed: http::DeflateParameters) -> websocket::Deflate {
    websocket::Deflate {
        server_no_context_takeover: agreed.server_no_context_takeover,
        client_no_context_takeover: agreed.client_no_context_takeover,
        server_max_window_bits: agreed.server_max_window_bits,
        client_max_window_bits: agreed.client_max_window_bits,
    }
}
