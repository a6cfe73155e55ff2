//! The pages' only other bytes: one style sheet, named by its content so that it may be kept for ever.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// Serve with [`STYLE_MEDIA_TYPE`] and [`STYLE_CACHE_CONTROL`] at [`style_path`].
pub const STYLE: &str = include_str!("../../templates/desk.css");
pub const STYLE_MEDIA_TYPE: &str = "text/css; charset=utf-8";
pub const STYLE_CACHE_CONTROL: &str = "public, max-age=31536000, immutable";
/// Pages hold no script, no inline style and nothing from elsewhere.
pub const PAGE_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'self'";
/// A bill belongs to one patient: no shared cache keeps it.
pub const PAGE_CACHE_CONTROL: &str = "private, no-store";

/// Characters of the content's hash in the name.
const HASH_CHARS: usize = 12;

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| {
    let hash: String = Sha256::digest(STYLE).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/assets/desk-{}.css", &hash[..HASH_CHARS])
});

/// `/assets/desk-0123456789ab.css`
pub fn style_path() -> &'static str {
    &STYLE_PATH
}
