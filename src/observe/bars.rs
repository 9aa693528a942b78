//! One line a check on a terminal, drawn anew while the run goes on, and gone when it ends: the summary takes its place.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use terminal_size::{Width, terminal_size_of};
use tokio::time::{Instant, sleep};

use super::board::Board;
use crate::outcome::{Event, Observer};
use crate::text::Redactor;

/// How often the clocks go on.
const TICK: Duration = Duration::from_millis(250);

/// Draws what it hears.
pub(crate) struct Bars {
    began: Instant,
    board: RefCell<Board>,
    screen: MultiProgress,
    /// One a line.
    lines: RefCell<Vec<ProgressBar>>,
    /// Whether something was drawn: what ends at once does not flicker.
    is_drawn: Cell<bool>,
}

impl Bars {
    /// `names` are those of the checks, in the plan's order.
    pub(super) fn new(names: &[String], redactor: &Redactor) -> Self {
        Self {
            began: Instant::now(),
            board: RefCell::new(Board::new(names, redactor)),
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            lines: RefCell::default(),
            is_drawn: Cell::new(false),
        }
    }

    /// Lets the clocks go on, for as long as it is polled.
    pub(super) async fn pulse(&self) -> Infallible {
        loop {
            sleep(TICK).await;
            self.is_drawn.set(true);
            self.draw();
        }
    }

    fn draw(&self) {
        const USUAL: u16 = 80;
        let width = terminal_size_of(io::stderr()).map_or(USUAL, |(Width(width), _)| width);
        // The last column makes some terminals go on to the next line.
        let columns = usize::from(width).saturating_sub(1).max(20);
        let texts = self.board.borrow().lines(self.began.elapsed(), columns);
        let mut lines = self.lines.borrow_mut();
        // A terminal that shows Ctrl-C moves everything up by a line, which then stays: a blank one had better be it.
        for (index, text) in std::iter::once(" ".to_owned()).chain(texts).enumerate() {
            if index == lines.len() {
                let line = ProgressBar::new_spinner().with_style(style());
                lines.push(self.screen.add(line));
            }
            lines[index].set_message(text);
            lines[index].tick();
        }
    }
}

/// The line as it is given.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Observer for Bars {
    fn hear(&self, event: &Event) {
        self.board.borrow_mut().hear(event, self.began.elapsed());
        if self.is_drawn.get() {
            self.draw();
        }
    }

    fn follows(&self) -> bool {
        true
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let _ = self.screen.clear();
        // What is dropped before it is finished would be drawn once more.
        self.screen.set_draw_target(ProgressDrawTarget::hidden());
    }
}
