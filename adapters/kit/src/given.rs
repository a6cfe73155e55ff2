//! What is not deterministic enters here only: clocks, random numbers, the signal to stop.

use std::time::Instant;

use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};

#[expect(clippy::disallowed_methods, reason = "the one place of the kit that reads the machine's clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The machine's steady clock, which nobody sets: only for how long something took.
#[expect(clippy::disallowed_methods, reason = "the one place of the kit that reads the steady clock")]
pub(crate) fn steady() -> Instant {
    Instant::now()
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// Where the operating system gives none.
pub(crate) fn drawn<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the operating system gives no random numbers"))?;
    Ok(bytes)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until this process is asked to end (SIGTERM or SIGINT).
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut ended), Ok(mut interrupted)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // A process that cannot be asked is ended by force.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = ended.recv() => {}
        _ = interrupted.recv() => {}
    }
}
