//! Parts of a Grafana dashboard, as the files of `dashboards/grafana` have them: what is the same for all stands here
//! once, so that a board is a list of panels with their queries.
//!
//! In a query `@process` stands for the matchers of all four variables and `@daemon` for those without the process.

use serde_json::{Value, json};

/// Every board has it, and links to the others by it.
const TAG: &str = "dd-procmgr";
/// The classic model as Grafana 10.4 to 12 write it; newer ones migrate it when they load it.
const SCHEMA: u64 = 39;
/// Grafana's grid.
const COLUMNS: u64 = 24;

/// What a board asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Metrics.
    Prometheus,
    /// Journal entries.
    Loki,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Loki => "loki",
        }
    }

    fn reference(self) -> Value {
        json!({"type": self.name(), "uid": "${datasource}"})
    }
}

/// The matchers in the place of their short names.
fn expand(query: &str) -> String {
    let daemon = r#"job=~"$job",instance=~"$instance""#;
    query.replace("@process", &format!(r#"{daemon},process=~"$process""#)).replace("@daemon", daemon)
}

/// Metrics that every exporter has (`process_*`), of those targets only that are a dd-procmgrd: all jobs together are
/// all of Prometheus.
pub(crate) fn own(query: &str) -> String {
    format!("{query} and on (job, instance) ddprocmgr_build_info{{@daemon}}")
}

/// One panel; its place follows from those before it.
pub(crate) struct Panel {
    json: Value,
    width: u64,
    height: u64,
}

impl Panel {
    fn new(kind: &str, title: &str, description: &str, unit: &str, (width, height): (u64, u64)) -> Self {
        let json = json!({
            "type": kind,
            "title": title,
            "description": description,
            "datasource": Source::Prometheus.reference(),
            "fieldConfig": {
                "defaults": {
                    "unit": unit,
                    "color": {"mode": "palette-classic"},
                    "mappings": [],
                    "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}]},
                },
                "overrides": [],
            },
            "options": {},
            "targets": [],
        });
        Self { json, width, height }
    }

    /// A heading over the panels that follow.
    pub(crate) fn row(title: &str) -> Self {
        let json = json!({"type": "row", "title": title, "collapsed": false, "panels": []});
        Self { json, width: COLUMNS, height: 1 }
    }

    /// One number, or one for each series.
    pub(crate) fn stat(title: &str, description: &str, unit: &str, query: &str) -> Self {
        let mut panel = Self::new("stat", title, description, unit, (4, 4));
        panel.defaults()["color"] = json!({"mode": "thresholds"});
        if unit == "short" {
            // Numbers of things: an increase is extrapolated, and 2 restarts would be 2.07.
            panel.defaults()["decimals"] = json!(0);
        }
        panel.json["options"] = json!({
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            "textMode": "auto",
        });
        panel.target("", query, "time_series", true)
    }

    /// Lines over time.
    pub(crate) fn lines(title: &str, description: &str, unit: &str) -> Self {
        let mut panel = Self::new("timeseries", title, description, unit, (12, 8));
        panel.defaults()["custom"] = json!({
            "drawStyle": "line",
            "fillOpacity": 10,
            "lineWidth": 1,
            "showPoints": "never",
            "spanNulls": false,
            "stacking": {"group": "A", "mode": "none"},
        });
        panel.json["options"] = json!({
            "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "right", "showLegend": true},
            "tooltip": {"mode": "multi", "sort": "desc"},
        });
        panel
    }

    /// Bands over time: which state each series was in.
    pub(crate) fn timeline(title: &str, description: &str, legend: &str, query: &str) -> Self {
        let mut panel = Self::new("state-timeline", title, description, "short", (COLUMNS, 5));
        panel.defaults()["custom"] = json!({"fillOpacity": 80, "lineWidth": 0});
        panel.json["options"] = json!({
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
            "mergeValues": true,
            "rowHeight": 0.8,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        });
        panel.query(legend, query)
    }

    /// One row for each set of labels that the queries share. Columns are in the order of `columns`: a label, or
    /// `Value #A` for the first query; anything else is left out.
    pub(crate) fn table(title: &str, description: &str, queries: &[&str], columns: &[(&str, &str)]) -> Self {
        let mut panel = Self::new("table", title, description, "short", (COLUMNS, 10));
        panel.defaults()["color"] = json!({"mode": "thresholds"});
        panel.defaults()["custom"] =
            json!({"align": "auto", "cellOptions": {"type": "auto"}, "inspect": false});
        panel.json["options"] = json!({"cellHeight": "sm", "footer": {"show": false}, "showHeader": true});
        for query in queries {
            panel = panel.target("", query, "table", true);
        }
        let order: serde_json::Map<String, Value> =
            columns.iter().enumerate().map(|(place, (name, _))| ((*name).to_owned(), json!(place))).collect();
        let renamed: serde_json::Map<String, Value> = columns
            .iter()
            .filter(|(name, shown)| name != shown)
            .map(|(name, shown)| ((*name).to_owned(), json!(shown)))
            .collect();
        let values = (0..queries.len()).map(|n| format!("Value #{}", letter(n)));
        let left_out: serde_json::Map<String, Value> = std::iter::once("Time".to_owned())
            .chain(values)
            .filter(|name| columns.iter().all(|(column, _)| column != name))
            .map(|name| (name, json!(true)))
            .collect();
        panel.json["transformations"] = json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": left_out, "indexByName": order, "renameByName": renamed}},
        ]);
        panel
    }

    /// Journal entries.
    pub(crate) fn logs(title: &str, description: &str, query: &str) -> Self {
        let mut panel = Self::new("logs", title, description, "short", (COLUMNS, 16)).of(Source::Loki);
        panel.json["options"] = json!({
            "dedupStrategy": "none",
            "enableLogDetails": true,
            "prettifyLogMessage": false,
            "showCommonLabels": false,
            "showLabels": false,
            "showTime": true,
            "sortOrder": "Descending",
            "wrapLogMessage": true,
        });
        panel.query("", query)
    }

    fn defaults(&mut self) -> &mut Value {
        &mut self.json["fieldConfig"]["defaults"]
    }

    fn target(mut self, legend: &str, query: &str, format: &str, instant: bool) -> Self {
        let targets = self.json["targets"].as_array_mut().expect("it was made as one");
        let mut target = json!({
            "refId": letter(targets.len()),
            "datasource": self.json["datasource"],
            "expr": expand(query),
        });
        if self.json["datasource"] == Source::Loki.reference() {
            target["queryType"] = json!("range");
        } else {
            target["format"] = json!(format);
            target["instant"] = json!(instant);
            target["range"] = json!(!instant);
        }
        if !legend.is_empty() {
            target["legendFormat"] = json!(legend);
        }
        self.json["targets"].as_array_mut().expect("it was made as one").push(target);
        self
    }

    /// One more query; `legend` may name labels as `{{process}}`.
    pub(crate) fn query(self, legend: &str, query: &str) -> Self {
        self.target(legend, query, "time_series", false)
    }

    /// Asks another source than Prometheus; before the first query.
    pub(crate) fn of(mut self, source: Source) -> Self {
        self.json["datasource"] = source.reference();
        self
    }

    pub(crate) fn size(mut self, width: u64, height: u64) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    /// Areas on top of each other.
    pub(crate) fn stacked(mut self) -> Self {
        self.defaults()["custom"]["stacking"]["mode"] = json!("normal");
        self.defaults()["custom"]["fillOpacity"] = json!(40);
        self
    }

    /// Green, and another color from a value on.
    pub(crate) fn from(mut self, value: f64, color: &str) -> Self {
        let steps = self.defaults()["thresholds"]["steps"].as_array_mut().expect("it was made as one");
        steps.push(json!({"color": color, "value": value}));
        self
    }

    /// Words and colors in the place of values.
    pub(crate) fn mapped(mut self, mappings: Value) -> Self {
        self.defaults()["mappings"] = mappings;
        self
    }

    /// What a stat without any series shows.
    pub(crate) fn when_empty(mut self, text: &str) -> Self {
        self.defaults()["noValue"] = json!(text);
        self
    }

    /// A stat shows what the series is called, and not its value.
    pub(crate) fn named(mut self, legend: &str) -> Self {
        self.json["options"]["textMode"] = json!("name");
        self.json["targets"][0]["legendFormat"] = json!(legend);
        self
    }

    /// Something about one column of a table, by the name that it is shown with.
    pub(crate) fn column(mut self, shown: &str, properties: &[(&str, Value)]) -> Self {
        let properties: Vec<Value> =
            properties.iter().map(|(id, value)| json!({"id": id, "value": value})).collect();
        let overrides = self.json["fieldConfig"]["overrides"].as_array_mut().expect("it was made as one");
        overrides.push(json!({"matcher": {"id": "byName", "options": shown}, "properties": properties}));
        self
    }
}

fn letter(index: usize) -> char {
    "ABCDEFGHIJ".chars().nth(index).expect("no panel has more than ten queries")
}

/// One dashboard.
pub(crate) struct Board {
    /// File name below `dashboards/grafana`, without its ending; the uid is `ddprocmgr-` and this.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) source: Source,
    /// After the data source.
    pub(crate) variables: Vec<Value>,
    pub(crate) annotations: Vec<Value>,
    pub(crate) panels: Vec<Panel>,
}

impl Board {
    /// The text of its file.
    pub(crate) fn text(self) -> String {
        let mut variables = vec![data_source(self.source)];
        variables.extend(self.variables);
        let board = json!({
            "uid": format!("ddprocmgr-{}", self.name),
            "title": self.title,
            "description": self.description,
            "tags": [TAG, "process-manager"],
            "schemaVersion": SCHEMA,
            "id": null,
            "editable": false,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [{
                "type": "dashboards",
                "tags": [TAG],
                "title": "dd-procmgrd",
                "asDropdown": true,
                "includeVars": true,
                "keepTime": true,
                "targetBlank": false,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }],
            "templating": {"list": variables},
            "annotations": {"list": self.annotations},
            "panels": placed(self.panels),
        });
        format!("{board:#}\n")
    }
}

/// From left to right, and a new line when one is full.
fn placed(panels: Vec<Panel>) -> Vec<Value> {
    let (mut x, mut y, mut line) = (0, 0, 0);
    let mut done = Vec::new();
    for (index, Panel { mut json, width, height }) in panels.into_iter().enumerate() {
        if x + width > COLUMNS {
            (x, y, line) = (0, y + line, 0);
        }
        json["id"] = json!(index + 1);
        json["gridPos"] = json!({"x": x, "y": y, "w": width, "h": height});
        x += width;
        line = line.max(height);
        done.push(json);
    }
    done
}

fn data_source(source: Source) -> Value {
    json!({
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": source.name(),
        "current": {},
        "hide": 0,
        "includeAll": false,
        "multi": false,
        "options": [],
        "refresh": 1,
        "regex": "",
    })
}

/// The values of a label of these series, several of which may be chosen, at first all of them.
pub(crate) fn variable(name: &str, label: &str, series: &str) -> Value {
    let query = format!("label_values({}, {name})", expand(series));
    json!({
        "name": name,
        "label": label,
        "type": "query",
        "datasource": Source::Prometheus.reference(),
        "definition": query,
        "query": {"query": query, "refId": name},
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        "allValue": ".+",
        "includeAll": true,
        "multi": true,
        "hide": 0,
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    })
}

/// The three that every board about processes has.
pub(crate) fn variables() -> Vec<Value> {
    vec![
        variable("job", "Job", "ddprocmgr_build_info"),
        variable("instance", "Instance", r#"ddprocmgr_build_info{job=~"$job"}"#),
        variable("process", "Process", "ddprocmgr_process_up{@daemon}"),
    ]
}

/// A mark on all panels. With `at_value` the query gives the time itself, in milliseconds, and not whether it was.
pub(crate) fn annotation(name: &str, color: &str, query: &str, text: &str, at_value: bool) -> Value {
    json!({
        "name": name,
        "datasource": Source::Prometheus.reference(),
        "enable": true,
        "hide": false,
        "iconColor": color,
        "expr": expand(query),
        "step": "",
        "titleFormat": name,
        "textFormat": text,
        "useValueForTime": at_value,
    })
}

/// Marks that every board about processes has.
pub(crate) fn annotations() -> Vec<Value> {
    vec![
        annotation(
            "Process restarted",
            "orange",
            "increase(ddprocmgr_process_restarts_total{@process}[$__rate_interval]) > 0",
            "{{process}} on {{instance}}",
            false,
        ),
        annotation(
            "dd-procmgrd started",
            "red",
            &own("process_start_time_seconds{@daemon} * 1000"),
            "{{instance}}",
            true,
        ),
    ]
}
