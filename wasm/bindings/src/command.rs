//! Everything the core asks of the worker, as one packed list in wasm memory.
//!
//! A poll appends commands; the worker drains the list right after it, then calls `drained`. A payload is named by
//! pointer and length and lives in the command itself until then, so it is copied once: into the buffer the worker
//! writes or transfers.

use bytes::Bytes;

use crate::{batch::Batch, slab::Key};

/// Size of one packed record: u32 op, u32 a, f64 b, f64 c, u32 pointer, u32 length, little endian.
pub(crate) const RECORD_BYTES: usize = 32;

/// Payload bytes named by one poll before the executor yields to let the worker drain.
pub(crate) const PAYLOAD_LIMIT: usize = 1 << 20;
/// Commands in one poll before the executor yields; keeps a drain within a few milliseconds.
pub(crate) const COUNT_LIMIT: usize = 4096;

/// One thing for the worker to do. The numbers in `pack` are known to `worker/core/command.ts`.
#[derive(Debug)]
pub(crate) enum Command {
    Stream {
        session: Key,
        stream: Key,
        ask: Ask,
    },
    Datagram {
        session: Key,
        data: Bytes,
    },
    Close {
        session: Key,
        code: u32,
        reason: Bytes,
    },
    /// A batch for the sink of a reader. Packed as two records: the batch and the table of its payload pieces.
    Deliver {
        reader: Key,
        batch: Batch,
    },
    /// The one terminal of a reader or announce listener; empty JSON is a clean end.
    End {
        handle: Key,
        error: Bytes,
    },
    Announce {
        listener: Key,
        event: u32,
        broadcast: Key,
        json: Bytes,
    },
    Settle {
        operation: Key,
        outcome: Outcome,
    },
}

/// What is asked of one stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    OpenUni,
    OpenBi,
    Write(Bytes),
    Finish,
    Reset(u32),
    Stop(u32),
    Priority(i32),
    /// The reader made room: read on.
    Resume,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    /// A handle that belongs to whoever started the operation.
    Handle(Key),
    Json(Bytes),
    Error(Bytes),
}

/// Commands for the next drain, and those the worker is draining now.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    list: Vec<Command>,
    /// Payload bytes in `list` and announced by [`Commands::charge`].
    payload: usize,
    draining: Vec<Command>,
    packed: Vec<u8>,
    /// Pointer and length of each piece, one table per delivered batch; the packed records point in here.
    tables: Vec<Vec<u32>>,
}

impl Commands {
    pub(crate) fn push(&mut self, command: Command) {
        self.payload += match &command {
            Command::Stream {
                ask: Ask::Write(data),
                ..
            }
            | Command::Datagram { data, .. } => data.len(),
            _ => 0,
        };
        self.list.push(command);
    }

    /// Count bytes that will be delivered by this poll although their command does not exist yet.
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.payload += bytes;
    }

    /// True when the worker should drain before more is produced.
    pub(crate) fn is_full(&self) -> bool {
        self.payload >= PAYLOAD_LIMIT || self.list.len() >= COUNT_LIMIT
    }

    /// Pack the list for draining. Pointers stay valid until [`Commands::drained`]; what is pushed meanwhile is for
    /// the next time.
    pub(crate) fn pack(&mut self) {
        self.payload = 0;
        self.draining.append(&mut self.list);
        self.packed.clear();
        self.packed.reserve(self.draining.len() * RECORD_BYTES);
        self.tables.clear();
        for command in &self.draining {
            command.pack(&mut self.packed, &mut self.tables);
        }
    }

    /// The packed list.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The worker has copied everything: let the payloads go.
    pub(crate) fn drained(&mut self) {
        self.draining.clear();
        self.packed.clear();
        self.tables.clear();
    }

    /// What the worker is draining now.
    #[cfg(any(feature = "fuzzing", test))]
    pub(crate) fn draining(&self) -> &[Command] {
        &self.draining
    }

    #[cfg(test)]
    pub(crate) fn take(&mut self) -> Vec<Command> {
        self.payload = 0;
        std::mem::take(&mut self.list)
    }
}

impl Command {
    pub(crate) const fn stream(session: Key, stream: Key, ask: Ask) -> Self {
        Self::Stream {
            session,
            stream,
            ask,
        }
    }

    fn pack(&self, out: &mut Vec<u8>, tables: &mut Vec<Vec<u32>>) {
        match self {
            Self::Stream {
                session,
                stream,
                ask,
            } => ask.pack(out, *session, *stream),
            Self::Datagram { session, data } => record(out, 9, 0, *session, 0, data),
            Self::Close {
                session,
                code,
                reason,
            } => record(out, 10, *code, *session, 0, reason),
            Self::Deliver { reader, batch } => {
                let table: Vec<u32> = batch
                    .pieces()
                    .iter()
                    .flat_map(|piece| [address(piece), piece.len() as u32])
                    .collect();
                record(
                    out,
                    11,
                    batch.frames(),
                    *reader,
                    batch.bytes() as u64,
                    batch.records(),
                );
                head(out, 12, 0, 0, batch.payload_bytes() as u64);
                tail(
                    out,
                    table.as_ptr().addr() as u32,
                    batch.pieces().len() as u32,
                );
                tables.push(table);
            }
            Self::End { handle, error } => record(out, 13, 0, *handle, 0, error),
            Self::Announce {
                listener,
                event,
                broadcast,
                json,
            } => record(out, 14, *event, *listener, *broadcast, json),
            Self::Settle { operation, outcome } => match outcome {
                Outcome::Done => record(out, 15, 0, *operation, 0, &[]),
                Outcome::Handle(handle) => record(out, 15, 1, *operation, *handle, &[]),
                Outcome::Json(json) => record(out, 15, 2, *operation, 0, json),
                Outcome::Error(json) => record(out, 15, 3, *operation, 0, json),
            },
        }
    }
}

impl Ask {
    fn pack(&self, out: &mut Vec<u8>, session: Key, stream: Key) {
        match self {
            Self::OpenUni => record(out, 1, 0, session, stream, &[]),
            Self::OpenBi => record(out, 2, 0, session, stream, &[]),
            Self::Write(data) => record(out, 3, 0, session, stream, data),
            Self::Finish => record(out, 4, 0, session, stream, &[]),
            Self::Reset(code) => record(out, 5, *code, session, stream, &[]),
            Self::Stop(code) => record(out, 6, *code, session, stream, &[]),
            Self::Priority(order) => record(out, 7, order.cast_unsigned(), session, stream, &[]),
            Self::Resume => record(out, 8, 0, session, stream, &[]),
        }
    }
}

fn record(out: &mut Vec<u8>, op: u32, a: u32, b: u64, c: u64, data: &[u8]) {
    head(out, op, a, b, c);
    tail(out, address(data), data.len() as u32);
}

fn head(out: &mut Vec<u8>, op: u32, a: u32, b: u64, c: u64) {
    out.extend_from_slice(&op.to_le_bytes());
    out.extend_from_slice(&a.to_le_bytes());
    out.extend_from_slice(&(b as f64).to_le_bytes());
    out.extend_from_slice(&(c as f64).to_le_bytes());
}

fn tail(out: &mut Vec<u8>, pointer: u32, length: u32) {
    out.extend_from_slice(&pointer.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
}

/// Where a payload lies in wasm memory (the low half of the address on other targets, where nobody follows it).
fn address(data: &[u8]) -> u32 {
    data.as_ptr().addr() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(record: &[u8]) -> (u32, u32, f64, f64, u32, u32) {
        let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
        let float = |at: usize| f64::from_le_bytes(record[at..at + 8].try_into().unwrap());
        (word(0), word(4), float(8), float(16), word(24), word(28))
    }

    fn stream(stream: Key, ask: Ask) -> Command {
        Command::stream(3, stream, ask)
    }

    #[test]
    fn every_command_is_whole_records_in_order() {
        let mut commands = Commands::default();
        let data = Bytes::from_static(b"payload");
        commands.push(stream((1 << 53) - 1, Ask::OpenBi));
        commands.push(stream(9, Ask::Write(data.clone())));
        commands.push(stream(9, Ask::Priority(-2)));
        commands.push(Command::Settle {
            operation: 4,
            outcome: Outcome::Handle(77),
        });
        commands.pack();
        let packed = commands.packed();
        let records: Vec<_> = packed.chunks_exact(RECORD_BYTES).map(fields).collect();
        assert_eq!(packed.len(), 4 * RECORD_BYTES);
        assert_eq!(
            records[0],
            (2, 0, 3.0, 9_007_199_254_740_991.0, records[0].4, 0)
        );
        assert_eq!(records[1], (3, 0, 3.0, 9.0, address(&data), 7));
        assert_eq!(records[2].1.cast_signed(), -2);
        assert_eq!(records[3].0, 15);
        assert_eq!((records[3].1, records[3].2, records[3].3), (1, 4.0, 77.0));
    }

    #[test]
    fn payloads_stay_alive_until_drained() {
        let mut commands = Commands::default();
        let data = Bytes::from(vec![1u8; 10]);
        commands.push(stream(1, Ask::Write(data.clone())));
        commands.pack();
        assert!(!data.is_unique());
        commands.drained();
        assert!(data.is_unique());
        assert!(commands.packed().is_empty());
    }

    #[test]
    fn what_is_asked_during_a_drain_waits_for_the_next_one() {
        let mut commands = Commands::default();
        commands.push(stream(1, Ask::Finish));
        commands.pack();
        commands.push(stream(2, Ask::Finish));
        commands.drained();
        commands.pack();
        let records: Vec<_> = commands
            .packed()
            .chunks_exact(RECORD_BYTES)
            .map(fields)
            .collect();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].3, 2.0);
    }

    #[test]
    fn a_poll_is_full_at_a_mebibyte_of_payload_or_by_count() {
        let mut commands = Commands::default();
        commands.push(stream(
            1,
            Ask::Write(Bytes::from(vec![0; PAYLOAD_LIMIT - 1])),
        ));
        assert!(!commands.is_full());
        commands.charge(1);
        assert!(commands.is_full());
        commands.pack();
        assert!(!commands.is_full());
        for key in 0..COUNT_LIMIT as u64 {
            commands.push(stream(key, Ask::Finish));
        }
        assert!(commands.is_full());
    }

    #[test]
    fn a_batch_names_its_pieces_in_a_table() {
        let mut batch = Batch::default();
        let pieces = vec![Bytes::from_static(b"ab"), Bytes::from_static(b"cde")];
        batch.frame(1, Some(5.0), pieces.clone());
        let mut commands = Commands::default();
        commands.push(Command::Deliver { reader: 6, batch });
        commands.pack();
        let packed = commands.packed().to_vec();
        let records: Vec<_> = packed.chunks_exact(RECORD_BYTES).map(fields).collect();
        assert_eq!(
            (records[0].0, records[0].1, records[0].2, records[0].3),
            (11, 1, 6.0, 5.0)
        );
        assert_eq!(records[0].5 as usize, RECORD_BYTES, "one batch record");
        assert_eq!((records[1].0, records[1].3, records[1].5), (12, 5.0, 2));
        assert_eq!(
            commands.tables[0],
            [address(&pieces[0]), 2, address(&pieces[1]), 3]
        );
    }
}
