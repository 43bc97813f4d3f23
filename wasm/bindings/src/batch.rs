//! A batch of frames for one reader. The layout is `worker/rpc/batch.ts`; the worker adds the eight-byte header
//! and copies the payload pieces behind the records.

use bytes::Bytes;
use moq_net::GapReason;

/// Records and payload pieces collected for one sink during a turn.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    records: Vec<u8>,
    pieces: Vec<Bytes>,
    /// Credit used up: groups, gaps and frames, and the bytes of frames.
    frames: u32,
    bytes: usize,
    /// Bytes behind the records, errors included.
    payload: usize,
}

impl Batch {
    /// A group starts: costs one frame of credit.
    pub(crate) fn group(&mut self, gid: u32, sequence: f64, timescale: f64, first_frame: f64) {
        self.frames += 1;
        self.record(1, gid, sequence, timescale, first_frame);
    }

    /// A whole frame, in the pieces it arrived in.
    pub(crate) fn frame(&mut self, gid: u32, timestamp: Option<f64>, pieces: Vec<Bytes>) {
        let size: usize = pieces.iter().map(Bytes::len).sum();
        self.frames += 1;
        self.bytes += size;
        self.record(2, gid, timestamp.unwrap_or(f64::NAN), size as f64, 0.0);
        self.append(size, pieces);
    }

    pub(crate) fn group_end(&mut self, gid: u32, frames: f64) {
        self.record(3, gid, frames, 0.0, 0.0);
    }

    pub(crate) fn group_error(&mut self, gid: u32, error: Bytes) {
        self.record(4, gid, 0.0, error.len() as f64, 0.0);
        self.append(error.len(), [error]);
    }

    /// No further group starts; `error` is empty for a finished track. `boundary` is the sequence after the last group,
    /// NaN where none is known.
    pub(crate) fn track_end(&mut self, boundary: f64, error: Bytes) {
        self.record(5, 0, boundary, error.len() as f64, 0.0);
        self.append(error.len(), [error]);
    }

    /// A datagram: costs as much as a frame.
    pub(crate) fn datagram(&mut self, sequence: f64, timestamp: Option<f64>, payload: Bytes) {
        let size = payload.len();
        self.frames += 1;
        self.bytes += size;
        self.record(6, 0, timestamp.unwrap_or(f64::NAN), size as f64, sequence);
        self.append(size, [payload]);
    }

    /// Groups that the reader does not get, both ends inclusive: costs as much as a group.
    pub(crate) fn gap(&mut self, from: f64, to: f64, reason: GapReason) {
        self.frames += 1;
        self.record(7, 0, from, f64::from(reason as u8), to);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn records(&self) -> &[u8] {
        &self.records
    }

    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Frame credit used up.
    pub(crate) const fn frames(&self) -> u32 {
        self.frames
    }

    /// Payload bytes behind the records.
    pub(crate) const fn payload_bytes(&self) -> usize {
        self.payload
    }

    /// Byte credit used up.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn append(&mut self, size: usize, pieces: impl IntoIterator<Item = Bytes>) {
        self.payload += size;
        self.pieces
            .extend(pieces.into_iter().filter(|piece| !piece.is_empty()));
    }

    fn record(&mut self, kind: u8, gid: u32, b: f64, c: f64, d: f64) {
        self.records.extend_from_slice(&[kind, 0, 0, 0]);
        self.records.extend_from_slice(&gid.to_le_bytes());
        for value in [b, c, d] {
            self.records.extend_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::RECORD_BYTES;

    #[test]
    fn credit_counts_groups_and_frames_and_not_errors() {
        let mut batch = Batch::default();
        assert!(batch.is_empty());
        batch.group(1, 7.0, 0.0, 0.0);
        batch.frame(
            1,
            None,
            vec![
                Bytes::from_static(b"one"),
                Bytes::new(),
                Bytes::from_static(b"two"),
            ],
        );
        batch.group_end(1, 1.0);
        batch.group_error(2, Bytes::from_static(b"{}"));
        batch.track_end(2.0, Bytes::new());
        assert_eq!(batch.frames(), 2);
        assert_eq!(batch.bytes(), 6);
        assert_eq!(batch.payload_bytes(), 8);
        assert_eq!(batch.pieces().len(), 3, "empty pieces are not worth a copy");
        let kinds: Vec<_> = batch
            .records()
            .chunks_exact(RECORD_BYTES)
            .map(|record| record[0])
            .collect();
        assert_eq!(kinds, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_gap_costs_as_much_as_a_group_and_names_its_reason_by_number() {
        // In the order of GAP_REASONS in worker/rpc/batch.ts.
        let reasons = [
            (GapReason::Late, "late"),
            (GapReason::Reset, "reset"),
            (GapReason::Declared, "declared"),
            (GapReason::Jump, "jump"),
            (GapReason::Full, "full"),
            (GapReason::Expired, "expired"),
            (GapReason::Ended, "ended"),
            (GapReason::Refused, "refused"),
        ];
        let mut batch = Batch::default();
        for (number, (reason, name)) in reasons.into_iter().enumerate() {
            assert_eq!(reason.as_str(), name);
            batch.gap(3.0, 5.0, reason);
            let record = &batch.records()[number * RECORD_BYTES..][..RECORD_BYTES];
            let field = |at: usize| f64::from_le_bytes(record[at..at + 8].try_into().unwrap());
            assert_eq!((record[0], field(8), field(24)), (7, 3.0, 5.0));
            assert_eq!(field(16), number as f64);
        }
        assert_eq!(batch.frames(), 8);
        assert_eq!(batch.payload_bytes(), 0);
    }

    #[test]
    fn a_frame_without_timestamp_says_not_a_number() {
        let mut batch = Batch::default();
        batch.frame(1, None, vec![]);
        batch.frame(1, Some(0.0), vec![]);
        let stamp = |index: usize| {
            let at = index * RECORD_BYTES + 8;
            f64::from_le_bytes(batch.records()[at..at + 8].try_into().unwrap())
        };
        assert!(stamp(0).is_nan());
        assert_eq!(stamp(1), 0.0);
    }
}
