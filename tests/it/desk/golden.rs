//! Documents compared with the ones kept under `tests/golden`.

use std::path::Path;

/// Compares, or writes with `YIZHAN_TEST_GOLDEN=write cargo test --test it`; then read the difference in git.
pub(super) fn check(name: &str, document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("YIZHAN_TEST_GOLDEN").is_some_and(|how| how == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, document).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(document.lines()).position(|(kept, now)| kept != now);
    assert!(
        kept == document,
        "{name} differs from tests/golden/{name} at line {}. If the change is meant, run \
         `YIZHAN_TEST_GOLDEN=write cargo test --test it` and read the difference in git.",
        differs.unwrap_or_else(|| kept.lines().count().min(document.lines().count())) + 1
    );
}
