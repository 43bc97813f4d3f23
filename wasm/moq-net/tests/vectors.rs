//! Whole streams, byte for byte as published peers write them (moq-lite.md §7 and W.8), read and written over a transport.

mod support;

use bytes::Bytes;
use moq_net::{
    Error, Version,
    lite::{DataType, Fetch, FetchOk, FrameHeader, Frames, GroupHeader, Reader, Writer},
};
use support::executor::Executor;
use support::transport::{Options, Recv, Send, Transport, pair};
use web_transport_trait::{SendStream as _, Session as _};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Timestamp and payload.
type Frame = (Option<u64>, Vec<u8>);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// A stream whose bytes were written in pieces of `size`, and finished.
async fn written(bytes: &[u8], size: usize, version: Version) -> (Reader<Recv>, [Transport; 2]) {
    let (client, server) = pair(Options::default());
    let mut send = server.open_uni().await.unwrap();
    for piece in bytes.chunks(size) {
        send.write_all(piece).await.unwrap();
    }
    send.finish().unwrap();
    let reader = Reader::new(client.accept_uni().await.unwrap(), version);
    // Dropping an end closes the session.
    (reader, [client, server])
}

/// What `write` puts on a stream.
async fn on_the_wire(version: Version, write: impl AsyncFnOnce(&mut Writer<Send>)) -> Vec<u8> {
    let (client, server) = pair(Options::default());
    let mut writer = Writer::new(server.open_uni().await.unwrap(), version);
    write(&mut writer).await;
    writer.finish().await.unwrap();
    let mut reader = Reader::new(client.accept_uni().await.unwrap(), version);
    let mut bytes = Vec::new();
    loop {
        match reader.read_exact_chunk(usize::MAX).await {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            // The end of the stream, where payload was expected.
            Err(Error::WrongSize) => return bytes,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn read_frames(reader: &mut Reader<Recv>, mut frames: Frames) -> Vec<Frame> {
    let mut read = Vec::new();
    while let Some(header) = frames.read(reader).await.unwrap() {
        let size = header.size as usize;
        let mut payload = Vec::new();
        while payload.len() < size {
            let chunk = reader.read_exact_chunk(size - payload.len()).await.unwrap();
            payload.extend_from_slice(&chunk);
        }
        read.push((header.timestamp, payload));
    }
    read
}

fn put_frames(writer: &mut Writer<Send>, mut frames: Frames, all: &[Frame]) {
    for (timestamp, payload) in all {
        let header = FrameHeader {
            timestamp: *timestamp,
            size: payload.len() as u64,
        };
        frames.put(writer, header).unwrap();
        writer.put_chunk(Bytes::copy_from_slice(payload));
    }
}

/// Group 1 of subscription 0: "hi" at 100 and "yo!" at 133 or, on 05-wip and later, at 66.
fn group(version: Version) -> (&'static str, Vec<Frame>) {
    let untimed = vec![(None, b"hi".to_vec()), (None, b"yo!".to_vec())];
    let at = |second| vec![(Some(100), b"hi".to_vec()), (Some(second), b"yo!".to_vec())];
    match version {
        // type, length, subscribe, sequence; size, "hi"; size, "yo!"
        Version::Lite01 | Version::Lite02 | Version::Lite03 | Version::Lite04 => {
            ("00 02 00 01  02 6869  03 796f21", untimed)
        }
        // type, length, subscribe, sequence; zigzag(100), size, "hi"; zigzag(-34), size, "yo!"
        Version::Lite05Wip => ("00 02 00 01  40c8 02 6869  4043 03 796f21", at(66)),
        // type, length, subscribe, sequence; zigzag(100), size, "hi"; zigzag(33), size, "yo!"
        Version::Lite05 => ("00 02 00 01  40c8 02 6869  4042 03 796f21", at(133)),
        // type, length, subscribe, sequence, frame start; zigzag(100), size, "hi"; zigzag(33), size, "yo!"
        Version::Lite06 => ("00 03 00 01 00  40c8 02 6869  4042 03 796f21", at(133)),
        Version::Lite07Wip => ("00 03 00 01 00  80c8 02 6869  42 03 796f21", at(133)),
        other => panic!("no vector for {other}"),
    }
}

#[test]
fn group_streams_are_read_in_every_version_whatever_the_pieces() {
    Executor::new().run_until(async {
        for version in Version::ALL {
            let (text, expected) = group(version);
            for size in [1, 2, 3, 100] {
                let (mut reader, _open) = written(&hex(text), size, version).await;
                assert_eq!(reader.decode().await, Ok(DataType::Group));
                let header: GroupHeader = reader.decode().await.unwrap();
                assert_eq!(
                    (header.subscribe, header.sequence, header.frame_start),
                    (0, 1, 0)
                );
                let frames = Frames::new(version, true);
                assert_eq!(
                    read_frames(&mut reader, frames).await,
                    expected,
                    "{version}"
                );
                assert_eq!(reader.finished().await, Ok(()));
            }
        }
    });
}

#[test]
fn group_streams_are_written_in_every_version() {
    Executor::new().run_until(async {
        for version in Version::ALL {
            let (text, content) = group(version);
            let bytes = on_the_wire(version, async |writer| {
                writer.put(&DataType::Group).unwrap();
                let header = GroupHeader {
                    subscribe: 0,
                    sequence: 1,
                    frame_start: 0,
                };
                writer.put(&header).unwrap();
                put_frames(writer, Frames::new(version, true), &content);
            });
            assert_eq!(bytes.await, hex(text), "{version}");
        }
    });
}

#[test]
fn an_untimed_track_of_05_wip_has_no_timestamps_in_its_groups() {
    Executor::new().run_until(async {
        let version = Version::Lite05Wip;
        // type, length, subscribe, sequence; size, packed payload
        let text = "00 02 01 00  0a cb48cdc9c957c8402701";
        let (mut reader, _open) = written(&hex(text), 5, version).await;
        assert_eq!(reader.decode().await, Ok(DataType::Group));
        let header: GroupHeader = reader.decode().await.unwrap();
        assert_eq!((header.subscribe, header.sequence), (1, 0));
        let frames = read_frames(&mut reader, Frames::new(version, false)).await;
        assert_eq!(frames, [(None, hex("cb48cdc9c957c8402701"))]);
    });
}

#[test]
fn fetch_answers_are_bare_frames_from_05_on() {
    Executor::new().run_until(async {
        // zigzag(0), size, "old"
        let (mut reader, _open) = written(&hex("00 03 6f6c64"), 2, Version::Lite05).await;
        let frames = read_frames(&mut reader, Frames::new(Version::Lite05, true)).await;
        assert_eq!(frames, [(Some(0), b"old".to_vec())]);
        // From frame 1 on: the first difference is the whole timestamp.
        let (mut reader, _open) = written(&hex("0a 01 42"), 1, Version::Lite06).await;
        let frames = read_frames(&mut reader, Frames::new(Version::Lite06, true)).await;
        assert_eq!(frames, [(Some(5), b"B".to_vec())]);
        // Nothing there: the end alone.
        let (mut reader, _open) = written(&[], 1, Version::Lite06).await;
        let frames = read_frames(&mut reader, Frames::new(Version::Lite06, true)).await;
        assert_eq!(frames, []);
    });
}

#[test]
fn fetch_answers_of_05_wip_say_first_how_to_read_them() {
    Executor::new().run_until(async {
        let version = Version::Lite05Wip;
        // length, group 0, timescale 1000, no codec; zigzag(5), size, "B"; zigzag(4), size, "C"
        let text = "04 00 43e8 00  0a 01 42  08 01 43";
        for size in [1, 4, 100] {
            let (mut reader, _open) = written(&hex(text), size, version).await;
            let ok: FetchOk = reader.decode().await.unwrap();
            assert_eq!(ok.group, 0);
            let timed = ok.timescale.is_some();
            let frames = read_frames(&mut reader, Frames::new(version, timed)).await;
            assert_eq!(frames, [(Some(5), b"B".to_vec()), (Some(9), b"C".to_vec())]);
        }
        let (mut reader, _open) = written(&hex("04 00 43e8 00"), 1, version).await;
        reader.decode::<FetchOk>().await.unwrap();
        assert_eq!(
            read_frames(&mut reader, Frames::new(version, true)).await,
            []
        );
    });
}

#[test]
fn a_group_that_breaks_off_is_never_taken_for_a_whole_one() {
    Executor::new().run_until(async {
        let version = Version::Lite05;
        let whole = hex("00 02 00 01  40c8 02 6869");
        for cut in 1..whole.len() {
            let (mut reader, _open) = written(&whole[..cut], 100, version).await;
            let mut frames = Frames::new(version, true);
            let result = async {
                reader.decode::<DataType>().await?;
                reader.decode::<GroupHeader>().await?;
                let Some(header) = frames.read(&mut reader).await? else {
                    return Ok(None);
                };
                let mut left = header.size as usize;
                while left > 0 {
                    left -= reader.read_exact_chunk(left).await?.len();
                }
                Ok::<_, Error>(Some(header))
            };
            match (result.await, cut) {
                // The header and nothing else: a group without frames.
                (Ok(None), 4) => {}
                (Err(Error::WrongSize | Error::Decode(_)), _) => {}
                (other, _) => panic!("{cut} bytes gave {other:?}"),
            }
        }
    });
}

#[test]
fn timestamps_that_cannot_be_end_the_group() {
    Executor::new().run_until(async {
        let version = Version::Lite06;
        // zigzag(-1) on the first frame
        let (mut reader, _open) = written(&hex("01 00"), 100, version).await;
        let result = Frames::new(version, true).read(&mut reader).await;
        assert_eq!(result, Err(Error::BoundsExceeded));
        // A frame without a timestamp cannot be written where all have one.
        on_the_wire(version, async |writer| {
            let frame = FrameHeader {
                timestamp: None,
                size: 0,
            };
            let put = Frames::new(version, true).put(writer, frame);
            assert_eq!(put, Err(Error::TimestampMismatch));
        })
        .await;
    });
}

#[test]
fn a_malformed_request_says_whether_the_session_ends_with_it() {
    Executor::new().run_until(async {
        // "room", "v", priority, group, and a byte that belongs to nothing
        let text = hex("0a 04726f6f6d 0176 03 00 09");
        for (version, ends) in [(Version::Lite05, false), (Version::Lite06, true)] {
            let (mut reader, _open) = written(&text, 100, version).await;
            let error = reader.decode::<Fetch>().await.unwrap_err();
            assert_eq!(version.ends_session(&error), ends, "{version}");
        }
        // The stream ended in the middle: nothing else does.
        let (mut reader, _open) = written(&text[..4], 100, Version::Lite06).await;
        let error = reader.decode::<Fetch>().await.unwrap_err();
        assert!(!Version::Lite06.ends_session(&error));
    });
}
