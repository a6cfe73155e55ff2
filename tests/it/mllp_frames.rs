//! Every message of the project through the wire, cut at every byte.

use yizhan::intake::mllp::{Event, Frames, Release, frame};

use crate::own_messages;

fn read(pieces: [&[u8]; 2]) -> Vec<Event> {
    let mut frames = Frames::new(1 << 20, Release::One);
    pieces.into_iter().for_each(|piece| frames.push(piece));
    std::iter::from_fn(|| frames.next_event()).collect()
}

#[test]
fn messages_arrive_whole_wherever_the_packets_end() {
    for (name, bytes) in own_messages() {
        let framed = frame(&bytes);
        for at in 0..=framed.len() {
            let (head, tail) = framed.split_at(at);
            assert_eq!(read([head, tail]), [Event::Frame(bytes.clone())], "{name} cut at {at}");
        }
    }
}
