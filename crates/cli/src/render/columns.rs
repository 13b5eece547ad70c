//! Columns that fit a terminal: the least missed ones go first, the last one takes what is left.

use super::paint::one_line;

/// Between two columns.
const GAP: usize = 2;

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Numbers stand on the right.
    pub(crate) right: bool,
    /// The higher, the sooner it goes where there is too little room; 0 = it stays, cut when it must be.
    pub(crate) spare: u8,
}

impl Column {
    pub(crate) const fn left(title: &'static str, spare: u8) -> Self {
        Self { title, right: false, spare }
    }

    pub(crate) const fn right(title: &'static str, spare: u8) -> Self {
        Self { title, right: true, spare }
    }
}

/// Which columns are shown, and how wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    shown: Vec<(usize, usize)>,
    room: Option<usize>,
}

/// Chooses columns for these cells, which are visible texts. `least` is what the last column is content with; `None` =
/// it stays as it is.
pub(crate) fn fit(
    columns: &[Column],
    rows: &[Vec<String>],
    room: Option<usize>,
    least: Option<usize>,
) -> Layout {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(columns[column].title.chars().count())
    };
    let mut shown: Vec<(usize, usize)> = (0..columns.len()).map(|column| (column, width(column))).collect();
    if let Some(room) = room {
        let last = columns.len() - 1;
        let needed = |shown: &[(usize, usize)]| -> usize {
            let widths = shown.iter().map(|(column, width)| match least {
                Some(least) if *column == last => (*width).min(least),
                _ => *width,
            });
            widths.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
        };
        while needed(&shown) > room {
            let spare = |(column, _): &(usize, usize)| columns[*column].spare;
            let Some(most) = shown.iter().map(spare).max().filter(|spare| *spare > 0) else { break };
            shown.retain(|entry| spare(entry) != most);
        }
    }
    Layout { shown, room }
}

impl Layout {
    /// One line of cells, without the newline. Never longer than the room.
    pub(crate) fn line(&self, columns: &[Column], cells: &[impl AsRef<str>]) -> String {
        let mut line = String::new();
        let mut used = 0;
        for (i, (column, width)) in self.shown.iter().enumerate() {
            let gap = if i == 0 { 0 } else { GAP };
            let left = self.room.map_or(usize::MAX, |room| room.saturating_sub(used + gap));
            if left == 0 {
                break;
            }
            let text = cut(cells[*column].as_ref(), left);
            let is_last = i + 1 == self.shown.len();
            let width = (*width).min(left);
            line.push_str(&" ".repeat(gap));
            let padded = match (columns[*column].right, is_last) {
                (true, _) => format!("{text:>width$}"),
                (false, true) => text,
                (false, false) => format!("{text:<width$}"),
            };
            used += gap + padded.chars().count();
            line.push_str(&padded);
        }
        line
    }

    /// The titles.
    pub(crate) fn header(&self, columns: &[Column]) -> String {
        let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
        self.line(columns, &titles)
    }
}

/// At most `room` characters, the last of them `…` when something is missing.
pub(crate) fn cut(text: &str, room: usize) -> String {
    // Bytes first: counting the characters of a long text for each line would be most of the work.
    if text.len() <= room || text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain((room > 0).then_some('…')).collect()
}

/// A cell that is made visible before it is measured: what is written out is longer.
pub(crate) fn cell(text: &str) -> String {
    one_line(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] =
        [Column::left("NAME", 0), Column::right("PID", 2), Column::right("CPU", 1), Column::left("WHY", 0)];

    fn shown(room: usize, least: Option<usize>) -> Vec<String> {
        let rows = [["web", "4242", "1.5", "because it was asked for"], ["a-long-name", "1", "100.0", ""]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
        let layout = fit(&COLUMNS, &rows, Some(room), least);
        let mut lines = vec![layout.header(&COLUMNS)];
        lines.extend(rows.iter().map(|row| layout.line(&COLUMNS, row)));
        lines
    }

    #[test]
    fn columns_go_one_by_one() {
        assert_eq!(
            shown(60, Some(8)),
            [
                "NAME          PID    CPU  WHY",
                "web          4242    1.5  because it was asked for",
                "a-long-name     1  100.0  "
            ]
        );
        assert_eq!(shown(30, Some(8))[1], "web            1.5  because i…");
        assert_eq!(shown(24, Some(8))[1], "web          because it…");
        assert_eq!(shown(8, Some(8)), ["NAME    ", "web     ", "a-long-…"]);
    }

    #[test]
    fn nothing_is_ever_wider_than_the_room() {
        for room in 0..80 {
            for least in [None, Some(0), Some(8)] {
                let lines = shown(room, least);
                assert!(lines.iter().all(|line| line.chars().count() <= room), "{room} {lines:?}");
            }
        }
    }

    #[test]
    fn cuts_are_on_characters() {
        assert_eq!(cut("größe", 3), "gr…");
        assert_eq!(cut("größe", 5), "größe");
        assert_eq!(cut("größe", 0), "");
        assert_eq!(cut("größe", 1), "…");
    }
}
