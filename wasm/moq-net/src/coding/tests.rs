//! Readers and writers over a scripted stream.

use std::{
    collections::VecDeque,
    fmt,
    future::{pending, ready},
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use web_transport_trait::{RecvStream, SendStream};

use super::{Decode, DecodeError, Encode, EncodeError, Message, Reader, Writer};
use crate::{Error, Version};

const V: Version = Version::Lite06;

#[derive(Debug, Clone, Copy)]
struct Reset(u32);

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reset {}", self.0)
    }
}

impl std::error::Error for Reset {}

impl web_transport_trait::Error for Reset {
    fn session_error(&self) -> Option<(u32, String)> {
        None
    }

    fn stream_error(&self) -> Option<u32> {
        Some(self.0)
    }
}

enum Step {
    Chunk(Bytes),
    Wait,
    Fin,
    Reset(u32),
}

/// A stream whose chunks are written down beforehand.
struct Script {
    steps: VecDeque<Step>,
    stopped: Arc<Mutex<Option<u32>>>,
}

impl RecvStream for Script {
    type Error = Reset;

    async fn read(&mut self, _: &mut [u8]) -> Result<Option<usize>, Reset> {
        unreachable!("the reader takes chunks")
    }

    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Reset> {
        match self.steps.pop_front() {
            None => pending().await,
            Some(Step::Chunk(chunk)) => {
                assert!(chunk.len() <= max);
                Ok(Some(chunk))
            }
            // Whoever waits here and is dropped finds the rest of the script next time.
            Some(Step::Wait) => pending().await,
            Some(Step::Fin) => Ok(None),
            Some(Step::Reset(code)) => Err(Reset(code)),
        }
    }

    fn stop(&mut self, code: u32) {
        *self.stopped.lock().unwrap() = Some(code);
    }

    async fn closed(&mut self) -> Result<(), Reset> {
        pending().await
    }
}

fn reader(
    steps: impl IntoIterator<Item = Step>,
) -> (Reader<Script, Version>, Arc<Mutex<Option<u32>>>) {
    let stopped = Arc::new(Mutex::new(None));
    let stream = Script {
        steps: steps.into_iter().collect(),
        stopped: stopped.clone(),
    };
    (Reader::new(stream, V), stopped)
}

fn chunk(bytes: &[u8]) -> Step {
    Step::Chunk(Bytes::copy_from_slice(bytes))
}

/// Runs what must not have to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("had to wait")
}

/// Two numbers behind a length.
#[derive(Debug, PartialEq)]
struct Pair(u64, u64);

impl Message for Pair {
    type Version = Version;

    fn encode_body(&self, buf: &mut BytesMut, version: Version) -> Result<(), EncodeError> {
        self.0.encode(buf, version)?;
        self.1.encode(buf, version)
    }

    fn decode_body(buf: &mut &[u8], version: Version) -> Result<Self, DecodeError> {
        Ok(Self(u64::decode(buf, version)?, u64::decode(buf, version)?))
    }
}

#[test]
fn values_are_read_whatever_the_chunks_are() {
    let bytes = [0x03, 0x41, 0x00, 0x05, 0x07, 0x02, 0x01, 0x02];
    for first in 0..bytes.len() {
        for second in first..bytes.len() {
            let cuts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            let (mut reader, _) = reader(cuts.map(chunk).into_iter().chain([Step::Fin]));
            assert_eq!(now(reader.decode::<Pair>()), Ok(Pair(256, 5)));
            assert_eq!(now(reader.decode::<u64>()), Ok(7));
            assert_eq!(now(reader.decode_maybe::<Pair>()), Ok(Some(Pair(1, 2))));
            assert_eq!(now(reader.decode_maybe::<Pair>()), Ok(None));
            assert_eq!(now(reader.finished()), Ok(()));
        }
    }
}

#[test]
fn a_dropped_read_loses_nothing() {
    let (mut reader, _) = reader([
        chunk(&[0x03, 0x41]),
        Step::Wait,
        chunk(&[0x00]),
        Step::Wait,
        chunk(&[0x05, 0xaa, 0xbb]),
    ]);
    assert!(reader.decode::<Pair>().now_or_never().is_none());
    assert!(reader.decode::<Pair>().now_or_never().is_none());
    assert_eq!(now(reader.decode::<Pair>()), Ok(Pair(256, 5)));
    assert_eq!(now(reader.read_exact_chunk(9)).unwrap()[..], [0xaa, 0xbb]);
}

#[test]
fn payload_is_a_slice_of_the_transports_chunk() {
    let source = Bytes::from_static(&[0x02, 1, 2, 3, 4, 5]);
    let (mut reader, _) = reader([Step::Chunk(source.clone())]);
    assert_eq!(now(reader.decode::<u64>()), Ok(2));
    let payload = now(reader.read_exact_chunk(3)).unwrap();
    assert_eq!(payload.as_ptr(), source[1..].as_ptr(), "copied");
    assert_eq!(payload[..], [1, 2, 3]);
    assert_eq!(now(reader.read_exact_chunk(9)).unwrap()[..], [4, 5]);
}

#[test]
fn payload_behind_a_header_that_spans_chunks_is_not_copied() {
    let source = Bytes::from_static(&[0x05, 9, 9, 9]);
    let (mut reader, _) = reader([chunk(&[0x41]), Step::Chunk(source.clone())]);
    assert_eq!(now(reader.decode::<u64>()), Ok(0x105));
    let payload = now(reader.read_exact_chunk(9)).unwrap();
    assert_eq!(payload.as_ptr(), source[1..].as_ptr(), "copied");
}

#[test]
fn fin_inside_a_value_is_an_error_of_the_stream() {
    let (mut reader, _) = reader([chunk(&[0x03, 0x01]), Step::Fin]);
    let error = now(reader.decode_maybe::<Pair>()).unwrap_err();
    assert!(matches!(error, Error::Decode(DecodeError::Short(_))));
    assert!(!V.ends_session(&error));
}

#[test]
fn fin_inside_payload_is_a_wrong_size() {
    let (mut reader, _) = reader([chunk(&[1]), Step::Fin]);
    now(reader.read_exact_chunk(4)).unwrap();
    assert_eq!(now(reader.read_exact_chunk(3)), Err(Error::WrongSize));
}

#[test]
fn content_that_disagrees_with_the_length_is_a_length_error() {
    for bytes in [
        &[0x01, 0x05][..],
        &[0x03, 0x01, 0x02, 0x03],
        &[0x02, 0x01, 0x40],
    ] {
        let (mut reader, _) = reader([chunk(bytes)]);
        assert_eq!(
            now(reader.decode::<Pair>()),
            Err(DecodeError::Length.into())
        );
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_length_alone() {
    // Two GiB are promised, three bytes came.
    let (mut reader, _) = reader([chunk(&[0xc0, 0, 0, 0, 0x80, 0, 0, 0, 1, 2, 3])]);
    assert_eq!(
        now(reader.decode::<Pair>()),
        Err(DecodeError::TooLarge.into())
    );
}

#[test]
fn the_limit_counts_the_length_too_and_can_be_set() {
    for (limit, fits) in [(4, true), (3, false)] {
        let (mut reader, _) = reader([chunk(&[0x03, 0x41, 0x00]), chunk(&[0x05])]);
        reader.set_limit(limit);
        let expected = match fits {
            true => Ok(Pair(256, 5)),
            false => Err(DecodeError::TooLarge.into()),
        };
        assert_eq!(now(reader.decode::<Pair>()), expected);
    }
}

#[test]
fn bytes_where_the_stream_should_end_are_a_violation() {
    let (mut early, _) = reader([chunk(&[0x01, 0x02])]);
    assert_eq!(now(early.decode::<u64>()), Ok(1));
    assert_eq!(now(early.finished()), Err(Error::ProtocolViolation));
    let (mut late, _) = reader([chunk(&[0x02])]);
    assert_eq!(now(late.finished()), Err(Error::ProtocolViolation));
}

#[test]
fn a_reset_is_the_error_its_code_says() {
    let (mut reader, stopped) = reader([chunk(&[0x41]), Step::Reset(0x33)]);
    assert_eq!(now(reader.decode::<u64>()), Err(Error::NotFound));
    drop(reader);
    assert_eq!(*stopped.lock().unwrap(), None, "nothing is left to stop");
}

#[test]
fn a_dropped_reader_stops_the_peer_unless_the_stream_ended() {
    let (open, stopped) = reader([]);
    drop(open);
    assert_eq!(*stopped.lock().unwrap(), Some(0x01));

    let (mut ended, stopped) = reader([Step::Fin]);
    assert_eq!(now(ended.decode_maybe::<u64>()), Ok(None));
    drop(ended);
    assert_eq!(*stopped.lock().unwrap(), None);

    let (mut refused, stopped) = reader([chunk(&[1])]);
    refused.stop(&Error::Old);
    drop(refused);
    assert_eq!(*stopped.lock().unwrap(), Some(0x34));
}

/// What a [`Sink`] was told.
#[derive(Debug, PartialEq, Clone)]
enum Told {
    Copied(Vec<u8>),
    ByReference(Bytes),
    Fin,
    Reset(u32),
}

#[derive(Clone, Default)]
struct Sink {
    told: Arc<Mutex<Vec<Told>>>,
    /// Bytes that may still be written before writes have to wait.
    room: Arc<Mutex<usize>>,
    /// What the peer stopped it with.
    refused: Option<u32>,
}

impl Sink {
    fn with_room(room: usize) -> Self {
        let sink = Self::default();
        *sink.room.lock().unwrap() = room;
        sink
    }

    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

impl SendStream for Sink {
    type Error = Reset;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Reset> {
        if let Some(code) = self.refused {
            return Err(Reset(code));
        }
        let size = (*self.room.lock().unwrap()).min(buf.len());
        if size == 0 {
            pending::<()>().await;
        }
        *self.room.lock().unwrap() -= size;
        self.tell(Told::Copied(buf[..size].to_vec()));
        Ok(size)
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<(), Reset> {
        let room = *self.room.lock().unwrap();
        match room >= chunk.len() {
            true => self.tell(Told::ByReference(chunk)),
            false => pending().await,
        }
        Ok(())
    }

    fn set_priority(&mut self, _: i32) {}

    fn finish(&mut self) -> Result<(), Reset> {
        self.tell(Told::Fin);
        Ok(())
    }

    fn reset(&mut self, code: u32) {
        self.tell(Told::Reset(code));
    }

    fn closed(&mut self) -> impl Future<Output = Result<(), Reset>> {
        ready(Ok(()))
    }
}

#[test]
fn small_frames_share_one_write() {
    let sink = Sink::with_room(100);
    let mut writer = Writer::new(sink.clone(), V);
    for byte in 0..3_u8 {
        writer.put(&1_u64).unwrap();
        writer.put_chunk(Bytes::from(vec![byte]));
    }
    assert_eq!(writer.queued(), 6);
    now(writer.finish()).unwrap();
    assert_eq!(writer.queued(), 0);
    assert_eq!(
        sink.told(),
        [Told::Copied(vec![1, 0, 1, 1, 1, 2]), Told::Fin]
    );
}

#[test]
fn large_payload_passes_by_reference_behind_its_header() {
    let sink = Sink::with_room(10_000);
    let mut writer = Writer::new(sink.clone(), V);
    let payload = Bytes::from(vec![7; 5000]);
    writer.put(&5000_u64).unwrap();
    now(writer.chunk(payload.clone())).unwrap();
    let told = sink.told();
    assert_eq!(told[0], Told::Copied(vec![0x53, 0x88]));
    let Told::ByReference(sent) = &told[1] else {
        panic!("copied")
    };
    assert_eq!(sent.as_ptr(), payload.as_ptr());
}

#[test]
fn a_dropped_flush_of_small_values_goes_on_where_it_was() {
    let sink = Sink::with_room(1);
    let mut writer = Writer::new(sink.clone(), V);
    assert!(writer.encode(&Pair(1, 2)).now_or_never().is_none());
    *sink.room.lock().unwrap() = 9;
    now(writer.flush()).unwrap();
    assert_eq!(
        sink.told(),
        [Told::Copied(vec![2]), Told::Copied(vec![1, 2])]
    );
}

#[test]
fn a_torn_payload_ends_the_stream() {
    let sink = Sink::default();
    let mut writer = Writer::new(sink.clone(), V);
    assert!(writer.chunk(vec![7; 5000].into()).now_or_never().is_none());
    assert_eq!(now(writer.encode(&1_u64)), Err(Error::Closed));
    assert_eq!(now(writer.finish()), Err(Error::Closed));
    drop(writer);
    assert_eq!(sink.told(), [Told::Reset(0x01)]);
}

#[test]
fn a_refusal_is_the_error_its_code_says_and_is_answered_by_a_reset() {
    let sink = Sink {
        refused: Some(0x34),
        ..Sink::default()
    };
    let mut writer = Writer::new(sink.clone(), V);
    assert_eq!(now(writer.encode(&1_u64)), Err(Error::Old));
    assert_eq!(now(writer.flush()), Err(Error::Closed));
    drop(writer);
    assert_eq!(sink.told(), [Told::Reset(0x01)]);
}

#[test]
fn a_value_that_cannot_be_written_leaves_no_bytes() {
    let sink = Sink::with_room(9);
    let mut writer = Writer::new(sink.clone(), V);
    let too_large = Pair(1, u64::MAX);
    assert_eq!(writer.put(&too_large), Err(EncodeError::Bounds.into()));
    assert_eq!(writer.queued(), 0);
    now(writer.encode(&3_u64)).unwrap();
    assert_eq!(sink.told(), [Told::Copied(vec![3])]);
}

#[test]
fn a_dropped_writer_resets_unless_it_finished() {
    let sink = Sink::default();
    drop(Writer::new(sink.clone(), V));
    assert_eq!(sink.told(), [Told::Reset(0x01)]);

    let sink = Sink::default();
    let mut writer = Writer::new(sink.clone(), V);
    now(writer.finish()).unwrap();
    drop(writer);
    assert_eq!(sink.told(), [Told::Fin]);

    let sink = Sink::default();
    let mut writer = Writer::new(sink.clone(), V);
    writer.reset(&Error::Evicted);
    drop(writer);
    assert_eq!(sink.told(), [Told::Reset(0x35)]);
}
