//! Every address there is, in one table; what is not in it is answered as a problem, too.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route, guard};

use super::asked::{Asked, other_method};
use super::server::Reading;
use super::{beneficiaries, discharges, house, settlements};
use crate::desk::assets::{PAGE_CACHE_CONTROL, page_security_policy};

pub use super::house::{OPENAPI, SCHEMAS};

/// One method at one address.
pub struct Endpoint {
    /// `GET`, which answers `HEAD` as well (RFC 9110 §9.1), or `POST`.
    pub method: &'static str,
    /// With `{name}` for what differs.
    pub path: &'static str,
    /// Only where anybody may read: the demonstration.
    pub is_open_only: bool,
    route: fn() -> Route,
}

const fn endpoint(method: &'static str, path: &'static str, route: fn() -> Route) -> Endpoint {
    Endpoint { method, path, is_open_only: false, route }
}

pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("POST", "/v1/discharges", || web::post().to(discharges::take)),
    endpoint("GET", "/v1/settlements/{id}", || reading().to(settlements::read)),
    endpoint("POST", "/v1/settlements/{id}/commit", || web::post().to(settlements::commit)),
    endpoint("POST", "/v1/settlements/{id}/reversal", || web::post().to(settlements::reverse)),
    endpoint("POST", "/v1/beneficiaries/lookup", || web::post().to(beneficiaries::look_up)),
    endpoint("GET", "/healthz", || reading().to(house::health)),
    endpoint("GET", "/readyz", || reading().to(house::ready)),
    endpoint("GET", "/metrics", || reading().to(house::metrics)),
    endpoint("GET", "/openapi.json", || reading().to(house::openapi)),
    endpoint("GET", "/schemas/{name}", || reading().to(house::schema)),
    Endpoint { is_open_only: true, ..endpoint("GET", "/", || reading().to(house::index)) },
];

pub(super) fn configure(config: &mut ServiceConfig, reading: Reading) {
    let offered = |endpoint: &&Endpoint| reading == Reading::Open || !endpoint.is_open_only;
    for endpoint in ENDPOINTS.iter().filter(offered) {
        config.service(resource(endpoint));
    }
}

/// By `GET`, and by `HEAD`, whose answer is the same without its body.
fn reading() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn resource(endpoint: &Endpoint) -> Resource {
    let methods = if endpoint.method == "GET" { "GET, HEAD" } else { endpoint.method };
    let refuse = move |asked: Asked| async move { other_method(&asked, methods) };
    web::resource(endpoint.path).route((endpoint.route)()).default_service(web::to(refuse))
}

/// A year, as browsers want it for a host that is never without TLS.
const ONLY_TLS: &str = "max-age=31536000";

/// On every answer that does not say otherwise.
pub(super) fn headers(is_tls: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add((CACHE_CONTROL, PAGE_CACHE_CONTROL))
        .add((CONTENT_SECURITY_POLICY, page_security_policy()))
        .add((REFERRER_POLICY, "no-referrer"))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((X_FRAME_OPTIONS, "SAMEORIGIN"));
    if is_tls { headers.add((STRICT_TRANSPORT_SECURITY, ONLY_TLS)) } else { headers }
}
