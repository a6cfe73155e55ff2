//! The pages' style sheet, which every page holds itself: a page is shown in the window of a hospital's system as well, or saved,
//! where nothing else can be fetched.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

pub const STYLE: &str = include_str!("../../templates/desk.css");
/// A bill belongs to one patient: no shared cache keeps it.
pub const PAGE_CACHE_CONTROL: &str = "private, no-store";

/// Pages hold no script and nothing from elsewhere, and no style but [`STYLE`].
static PAGE_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
});

pub fn page_security_policy() -> &'static str {
    &PAGE_SECURITY_POLICY
}
