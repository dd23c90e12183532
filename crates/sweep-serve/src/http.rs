//! Connections, and the answer to each request.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::address::Listener;
use crate::guard::Verdict;
use crate::sweep::Sweep;
use crate::{Shared, control, page, view};
use sweep_core::trial::TrialId;
use sweep_report::assets;

/// Maximum number of open connections. A browser opens up to six for a page.
const CONNECTIONS: usize = 1024;

/// Maximum number of pages that wait for news.
const VIEWERS: usize = 256;

/// Time that a client has to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// Maximum size of a request to a controller, in bytes.
const LARGEST: usize = 64 << 10;

/// Interval of heartbeats to a waiting page. They also reveal that the page was closed.
const SIGN: Duration = Duration::from_secs(15);

/// Minimum time between two messages to a page.
const PAUSE: Duration = Duration::from_millis(300);

/// Scripts and styles are loaded only from the page's own address, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A chart contains its own style, and loads nothing.
const CHART_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

type Body = Either<Full<Bytes>, Channel<Bytes, Infallible>>;

/// Accepts connections without end.
pub async fn accept(listener: &Listener, shared: &Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = room.clone().acquire_owned().await.expect("it is never closed");
        let Ok(stream) = listener.accept().await else {
            // Too many open files, for example. Another connection may end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let _ = server.serve_connection(stream, service).await;
            drop(place);
        });
    }
}

/// Answers one request.
async fn answer(request: Request<Incoming>, shared: &Arc<Shared>) -> Result<Response<Body>, Infallible> {
    let mut response = match shared.guard.judge(request.method(), request.uri(), request.headers()) {
        Verdict::Pass => route(request, shared).await,
        Verdict::Admit => admit(shared),
        Verdict::Refuse(status, why) => plain(status, why),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    Ok(response)
}

/// Sets the cookie. The next page is opened by a link on this one, because after a redirect, a browser that came from
/// another site would not send the cookie.
fn admit(shared: &Shared) -> Response<Body> {
    let mut response = html(page::enter());
    let cookie = HeaderValue::from_str(&shared.guard.set_cookie()).expect("it has hexadecimal digits only");
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

async fn route(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Body> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if request.method() == Method::POST {
        return match parts[..] {
            ["sweep", number, "ask"] => match find(shared, number).map(|(sweep, _)| sweep.clone()) {
                Some(sweep) => ask(&sweep, request, shared).await,
                None => missing(),
            },
            _ => missing(),
        };
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "This page is read with GET.");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match parts[..] {
        [""] if shared.sweeps.len() == 1 => html(page::sweep(&shared.sweeps[0], 1, false, shared.asker.is_some())),
        [""] => html(page::all(&shared.sweeps)),
        ["assets", name] => asset(name),
        ["sweep", number, ref rest @ ..] => {
            let Some((sweep, number)) = find(shared, number) else { return missing() };
            match *rest {
                [] => html(page::sweep(sweep, number, shared.sweeps.len() > 1, shared.asker.is_some())),
                ["events"] => events(sweep, shared),
                ["update"] => update(sweep, query, shared.now).await,
                ["curves"] => curves(sweep, query).await,
                ["trial", id] => trial(sweep, id).await,
                ["chart", name] => chart(sweep, name),
                ["worst.png"] => worst(sweep),
                _ => missing(),
            }
        }
        _ => missing(),
    }
}

fn find<'a>(shared: &'a Shared, number: &str) -> Option<(&'a Arc<Sweep>, usize)> {
    let number: usize = number.parse().ok()?;
    Some((shared.sweeps.get(number.checked_sub(1)?)?, number))
}

/// Passes a request on to the controller of a sweep, and responds with the controller's answer.
async fn ask(sweep: &Arc<Sweep>, request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Body> {
    let Some(asker) = &shared.asker else {
        return plain(
            StatusCode::FORBIDDEN,
            "This page is read-only. To change the sweep from here, start `sweep serve --control`.",
        );
    };
    // Forms of other sites can send text, but no JSON.
    if request.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "A request must be JSON.");
    }
    let body = Limited::new(request.into_body(), LARGEST).collect();
    let Ok(Ok(body)) = tokio::time::timeout(HEAD, body).await else {
        return plain(StatusCode::BAD_REQUEST, "The request is too large, or did not arrive completely.");
    };
    let Ok(wish) = serde_json::from_slice(&body.to_bytes()) else {
        return plain(StatusCode::BAD_REQUEST, "The request is unknown.");
    };
    match control::ask(sweep, &wish, asker, (shared.now)()).await {
        Ok(said) => full(StatusCode::OK, "application/json", serde_json::json!(said).to_string()),
        Err(error) => full(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

/// The overview, and the rows that changed since the version that the page knows.
async fn update(sweep: &Arc<Sweep>, query: &str, now: fn() -> f64) -> Response<Body> {
    let (sweep, since) = (sweep.clone(), value(query, "since").and_then(|text| text.parse().ok()).unwrap_or(0));
    work(move || Some(sweep.update(since, now()))).await
}

/// The curves of the trials whose numbers are in the query.
async fn curves(sweep: &Arc<Sweep>, query: &str) -> Response<Body> {
    let metric = value(query, "metric").map(decoded).unwrap_or_default();
    let ids: Vec<u64> =
        value(query, "trials").unwrap_or_default().split(',').filter_map(|id| id.parse().ok()).collect();
    let sweep = sweep.clone();
    work(move || {
        let state = sweep.state();
        let (curves, band) = (view::curves(&state.history, &metric, &ids), state.insight.bands.get(&metric));
        Some(serde_json::json!({"curves": curves, "band": band}).to_string())
    })
    .await
}

async fn trial(sweep: &Arc<Sweep>, id: &str) -> Response<Body> {
    let (Ok(id), sweep) = (id.parse(), sweep.clone()) else { return missing() };
    work(move || view::trial(&sweep.layout, &sweep.state(), TrialId(id)).map(|trial| trial.to_string())).await
}

fn chart(sweep: &Sweep, name: &str) -> Response<Body> {
    let insight = sweep.state().insight.clone();
    let Some(svg) = name.strip_suffix(".svg").and_then(|name| insight.charts.get(name)) else { return missing() };
    let mut response = full(StatusCode::OK, "image/svg+xml", svg.clone());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CHART_POLICY));
    response
}

fn worst(sweep: &Sweep) -> Response<Body> {
    let insight = sweep.state().insight.clone();
    insight.worst.as_ref().map_or_else(missing, |png| full(StatusCode::OK, "image/png", png.clone()))
}

/// Sends the version of the sweep whenever it changes.
fn events(sweep: &Arc<Sweep>, shared: &Arc<Shared>) -> Response<Body> {
    if shared.viewers.fetch_add(1, Ordering::Relaxed) >= VIEWERS {
        shared.viewers.fetch_sub(1, Ordering::Relaxed);
        return plain(StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open.");
    }
    let (mut sender, body) = Channel::new(1);
    let (mut news, shared) = (sweep.news.subscribe(), shared.clone());
    tokio::spawn(async move {
        news.mark_changed();
        loop {
            let message = match tokio::time::timeout(SIGN, news.changed()).await {
                Ok(Ok(())) => format!("data: {}\n\n", *news.borrow_and_update()),
                Ok(Err(_)) => break,
                Err(_) => ":\n\n".to_owned(),
            };
            if sender.send_data(Bytes::from(message)).await.is_err() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        shared.viewers.fetch_sub(1, Ordering::Relaxed);
    });
    let response = Response::builder().header(CONTENT_TYPE, "text/event-stream");
    response.body(Either::Right(body)).expect("the header is valid")
}

/// Computes JSON outside the loop that serves the connections.
async fn work<T: Into<Bytes> + Send + 'static>(compute: impl FnOnce() -> Option<T> + Send + 'static) -> Response<Body> {
    match spawn_blocking(compute).await {
        Ok(Some(json)) => full(StatusCode::OK, "application/json", json),
        Ok(None) => missing(),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be computed."),
    }
}

fn asset(name: &str) -> Response<Body> {
    let found = match name {
        "icon.svg" => ("image/svg+xml", include_str!("../assets/icon.svg")),
        "style.css" => ("text/css", include_str!("../assets/style.css")),
        "app.js" => ("text/javascript", include_str!("../assets/app.js")),
        "all.js" => ("text/javascript", include_str!("../assets/all.js")),
        "control.js" => ("text/javascript", include_str!("../assets/control.js")),
        "chart.js" => ("text/javascript", assets::CHART),
        "common.js" => ("text/javascript", assets::COMMON),
        "panels.js" => ("text/javascript", assets::PANELS),
        "chart.css" => ("text/css", assets::STYLE),
        "parallel.js" => ("text/javascript", include_str!("../assets/parallel.js")),
        "table.js" => ("text/javascript", include_str!("../assets/table.js")),
        "trial.js" => ("text/javascript", include_str!("../assets/trial.js")),
        _ => return missing(),
    };
    full(StatusCode::OK, found.0, found.1)
}

/// The value of a name in a query.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Text from a query, whose bytes may be written as `%41`.
fn decoded(text: &str) -> String {
    let byte = |at: usize| text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        let escaped = if text.as_bytes()[at] == b'%' { byte(at) } else { None };
        bytes.push(escaped.unwrap_or(text.as_bytes()[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn html(text: String) -> Response<Body> {
    full(StatusCode::OK, "text/html", text)
}

fn missing() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "There is no such page.")
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    full(status, "text/plain", text)
}

fn full(status: StatusCode, kind: &str, text: impl Into<Bytes>) -> Response<Body> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, format!("{kind}; charset=utf-8"));
    response.body(Either::Left(Full::new(text.into()))).expect("the header is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        assert_eq!(value("a=1&metric=x%2Fy%20z", "metric").map(decoded).as_deref(), Some("x/y z"));
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%C3%A9é"), "%zzéé");
        assert_eq!(value("a=1", "b"), None);
    }
}
