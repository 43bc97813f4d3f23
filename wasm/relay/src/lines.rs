//! The lines of the log: no client can cause a flood of them, and none can write anything into one but its own words.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::FilterExt};

use crate::bounds::Bounds;

/// The span that everything done for one client belongs to.
const CLIENT: &str = "client";

/// A subscriber that writes to `writer` what `filter` lets through, within `bounds`.
pub fn subscriber<W>(filter: EnvFilter, writer: W, bounds: &Bounds) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let longest = bounds.log_text;
    let fields = debug_fn(move |writer, field, value| {
        let text = text(value, longest);
        match field.name() {
            "message" => write!(writer, "{text}"),
            name => write!(writer, "{name}={text}"),
        }
    })
    .delimited(" ");
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .fmt_fields(fields)
        .with_writer(writer)
        .with_filter(filter.and(PerClient {
            rate: bounds.log_lines.max(1),
        }));
    Registry::default().with(lines)
}

/// A value as it may stand in a line: control characters escaped, and cut when it is long.
fn text(value: &dyn fmt::Debug, longest: usize) -> String {
    let mut cut = Cut {
        text: String::new(),
        longest,
        over: false,
    };
    // Stops early with an error when it is full.
    let _full = write!(cut, "{value:?}");
    if cut.over {
        cut.text.push('…');
    }
    cut.text
}

struct Cut {
    text: String,
    longest: usize,
    over: bool,
}

impl Write for Cut {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            if self.text.len() + character.len_utf8() > self.longest {
                self.over = true;
                return Err(fmt::Error);
            }
            match character.is_control() || is_direction(character) {
                true => write!(self.text, "{}", character.escape_unicode())?,
                false => self.text.push(character),
            }
        }
        Ok(())
    }
}

/// Whether a character turns the text around it.
const fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Lets so many lines of each client through in a second.
struct PerClient {
    rate: u32,
}

/// What one client has caused.
struct Lines {
    second: Instant,
    count: u32,
    left_out: u64,
}

/// Lines that were left out so far, in the whole process.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lines that were left out so far because one client caused too many.
#[must_use]
pub fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for PerClient {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        // Who asks for these wants to see all of them.
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let Some(scope) = context.event_scope(event) else {
            return true;
        };
        for span in scope.filter(|span| span.name() == CLIENT) {
            let mut extensions = span.extensions_mut();
            let Some(lines) = extensions.get_mut::<Lines>() else {
                continue;
            };
            if lines.second.elapsed() >= Duration::from_secs(1) {
                lines.second = Instant::now();
                lines.count = 0;
            }
            lines.count += 1;
            if lines.count > self.rate {
                lines.left_out += 1;
                LEFT_OUT.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        }
        true
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != CLIENT {
            return;
        }
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Lines {
                second: Instant::now(),
                count: 0,
                left_out: 0,
            });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let left_out = span
            .extensions()
            .get::<Lines>()
            .map_or(0, |lines| lines.left_out);
        if left_out > 0 {
            // Outside of the client's span, so that it is not left out itself.
            tracing::warn!(parent: None, left_out, "lines of one client were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(bounds: &Bounds, work: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(EnvFilter::new("info"), move || writer.clone(), bounds);
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_client_writes_so_many_lines_and_what_is_left_out_is_counted() {
        let bounds = Bounds {
            log_lines: 3,
            ..Bounds::default()
        };
        let before = left_out();
        let log = logged(&bounds, || {
            let client = tracing::error_span!("client", peer = 1);
            for line in 0..100 {
                client.in_scope(|| {
                    let _inside = tracing::info_span!("inside").entered();
                    tracing::info!(line, "of a client");
                });
                tracing::info!("of the relay");
            }
        });
        assert_eq!(log.matches("of a client").count(), 3);
        assert_eq!(log.matches("of the relay").count(), 100);
        assert_eq!(left_out() - before, 97);
        assert!(log.contains("left_out=97"), "{log}");
    }

    #[test]
    fn what_a_client_says_stays_in_its_line() {
        let said =
            "a\r\n2026-01-01 INFO forged \u{1b}[31mred\u{202e}".to_owned() + &"x".repeat(10_000);
        let log = logged(&Bounds::default(), || {
            tracing::info!(reason = %said, name = ?said, "{said}");
            let _client = tracing::error_span!("client", path = %said).entered();
            tracing::info!("inside");
        });
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}'));
        assert!(log.len() < 2000, "{} bytes", log.len());
    }
}
