//! One table of a comparison: what is compared down the side, the paths across the top.
//!
//! A cell has a text for people and a value for programs, so that no figure is rounded away.

use bimed_eval::{Cell as TextCell, Table, TableColumn};
use serde_json::{Map, Value, json};

use crate::output::grouped;

/// What stands where there is nothing.
const NOTHING: &str = "–";

/// A table of a comparison.
#[derive(Debug, Clone, Default)]
pub(super) struct Sheet {
    /// Its heading.
    pub(super) title: String,
    /// What to know to read it; may be empty.
    pub(super) note: String,
    /// The names of what rows are told apart by.
    pub(super) keys: Vec<String>,
    /// The paths' names, and what is computed from them.
    pub(super) columns: Vec<String>,
    /// Rows in their order.
    pub(super) rows: Vec<Row>,
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// One for each of [`Sheet::keys`].
    pub(super) keys: Vec<String>,
    /// One for each of [`Sheet::columns`].
    pub(super) cells: Vec<Cell>,
}

/// A figure, a setting, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// For people.
    pub(super) text: String,
    /// For programs.
    pub(super) value: Value,
}

impl Cell {
    /// Nothing to show.
    pub(super) fn none() -> Self {
        Self { text: NOTHING.to_owned(), value: Value::Null }
    }

    /// A count.
    pub(super) fn count(count: u64) -> Self {
        Self { text: grouped(count), value: count.into() }
    }

    /// A number, shown with `decimals` decimals.
    pub(super) fn number(number: f64, decimals: usize) -> Self {
        Self { text: format!("{number:.decimals$}"), value: json!(number) }
    }

    /// A share of 0 to 1, shown as a percentage.
    pub(super) fn share(share: f64, decimals: usize) -> Self {
        Self { text: format!("{:.decimals$}%", 100.0 * share), value: json!(share) }
    }

    /// A count and its share of `all`.
    pub(super) fn part(count: u64, all: u64) -> Self {
        let share = 100.0 * count as f64 / all.max(1) as f64;
        Self { text: format!("{} ({share:.2}%)", grouped(count)), value: count.into() }
    }

    /// A word.
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { value: Value::from(text.as_str()), text }
    }

    /// A setting as its file has it.
    pub(super) fn setting(value: &Value) -> Self {
        let text = match value {
            Value::Null => NOTHING.to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self { text, value: value.clone() }
    }

    /// `cell`, or nothing.
    pub(super) fn or_none(cell: Option<Self>) -> Self {
        cell.unwrap_or_else(Self::none)
    }
}

impl Sheet {
    /// Without rows yet.
    pub(super) fn new(title: impl Into<String>, keys: &[&str], columns: &[String]) -> Self {
        Self {
            title: title.into(),
            note: String::new(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// With a note.
    pub(super) fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// Adds a row.
    pub(super) fn push<K: Into<String>>(
        &mut self,
        keys: impl IntoIterator<Item = K>,
        cells: impl IntoIterator<Item = Cell>,
    ) {
        let keys = keys.into_iter().map(Into::into).collect();
        self.rows.push(Row { keys, cells: cells.into_iter().collect() });
    }

    /// Takes the key `name` out where every row leaves it empty.
    pub(super) fn drop_empty_key(&mut self, name: &str) {
        let Some(at) = self.keys.iter().position(|key| key == name) else { return };
        if self.rows.iter().all(|row| row.keys[at].is_empty()) {
            self.keys.remove(at);
            for row in &mut self.rows {
                row.keys.remove(at);
            }
        }
    }

    /// For people.
    pub(super) fn table(&self) -> Table {
        let keys = self.keys.iter().map(|name| TableColumn::left(name));
        let columns = self.columns.iter().map(|name| TableColumn::right(name));
        let row = |row: &Row| {
            let cells = row.cells.iter().map(|cell| &cell.text);
            row.keys.iter().chain(cells).map(TextCell::plain).collect()
        };
        Table {
            title: self.title.clone(),
            note: self.note.clone(),
            columns: keys.chain(columns).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// For programs: each row with its keys and its values by column.
    pub(super) fn to_value(&self) -> Value {
        let row = |row: &Row| {
            let keys = self.keys.iter().zip(&row.keys);
            let values = self.columns.iter().zip(&row.cells);
            let keys: Map<String, Value> =
                keys.map(|(name, key)| (name.clone(), key.clone().into())).collect();
            let values: Map<String, Value> =
                values.map(|(name, cell)| (name.clone(), cell.value.clone())).collect();
            json!({ "keys": keys, "values": values })
        };
        json!({
            "title": self.title,
            "note": self.note,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}

/// All sheets as one table of comma-separated values: the first column names the sheet, a value of
/// several parts takes a column for each.
pub(super) fn csv(sheets: &[Sheet]) -> String {
    let mut heading: Vec<(bool, String)> = vec![(true, "table".to_owned())];
    let mut rows: Vec<Vec<((bool, String), String)>> = Vec::new();
    for sheet in sheets {
        for row in &sheet.rows {
            let mut fields = vec![((true, "table".to_owned()), sheet.title.clone())];
            let keys = sheet.keys.iter().zip(&row.keys);
            fields.extend(keys.map(|(name, key)| ((true, name.clone()), key.clone())));
            for (name, cell) in sheet.columns.iter().zip(&row.cells) {
                flatten(name, &cell.value, &mut |name, text| fields.push(((false, name), text)));
            }
            rows.push(fields);
        }
    }
    // Keys first, then values, each in the order in which they first come.
    for is_key in [true, false] {
        for (name, _) in rows.iter().flatten().filter(|(name, _)| name.0 == is_key) {
            if !heading.contains(name) {
                heading.push(name.clone());
            }
        }
    }
    let mut text = csv_line(heading.iter().map(|(_, name)| name.as_str()));
    for row in &rows {
        let field = |name: &(bool, String)| {
            let found = row.iter().find(|(other, _)| other == name);
            found.map_or("", |(_, text)| text.as_str())
        };
        text += &csv_line(heading.iter().map(field));
    }
    text
}

fn flatten(name: &str, value: &Value, add: &mut impl FnMut(String, String)) {
    match value {
        Value::Null => {}
        Value::String(text) => add(name.to_owned(), text.clone()),
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{name}.{key}"), value, add);
            }
        }
        other => add(name.to_owned(), other.to_string()),
    }
}

fn csv_line<'f>(fields: impl Iterator<Item = &'f str>) -> String {
    let quoted = |field: &str| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    let fields: Vec<String> = fields.map(quoted).collect();
    format!("{}\n", fields.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheets() -> [Sheet; 2] {
        let columns = ["base".to_owned(), "양방향".to_owned()];
        let mut figures = Sheet::new("korsts, pearson", &["model"], &columns);
        let value = json!({ "value": 0.7123456, "low": 0.7, "high": 0.73 });
        figures.push(["main"], [Cell { text: "0.7123".into(), value }, Cell::none()]);
        let mut rows = Sheet::new("Rows", &["script"], &columns);
        rows.push(["Hangul"], [Cell::part(10, 40), Cell::count(24_497)]);
        [figures, rows]
    }

    #[test]
    fn people_see_rounded_figures_and_dashes() {
        insta::assert_snapshot!(crate::output::titled(&sheets()[0].table()), @r"
        korsts, pearson

        model    base  양방향
        -----  ------  ------
        main   0.7123       –
        ");
        insta::assert_snapshot!(sheets()[1].table().to_markdown(), @r"
        ### Rows

        | script | base | 양방향 |
        |---|--:|--:|
        | Hangul | 10 (25.00%) | 24,497 |
        ");
    }

    #[test]
    fn all_sheets_are_one_table_of_exact_values() {
        insta::assert_snapshot!(csv(&sheets()), @r#"
        table,model,script,base.value,base.low,base.high,base,양방향
        "korsts, pearson",main,,0.7123456,0.7,0.73,,
        Rows,,Hangul,,,,10,24497
        "#);
    }

    #[test]
    fn programs_get_values_by_the_name_of_the_column() {
        let value = sheets()[1].to_value();
        assert_eq!(value["rows"][0]["keys"]["script"], "Hangul");
        assert_eq!(value["rows"][0]["values"]["양방향"], 24_497);
    }
}
