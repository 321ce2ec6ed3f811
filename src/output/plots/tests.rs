mod moving;

use self::moving::Moving;
use super::data::{Mark, Runs};
use super::*;
use crate::metrics::{MetricsTable, Phase, Second};
use crate::output::fixture::{self, Fake};
use crate::output::{write_run, write_summary};
use crate::run::RunResult;

/// Writes the runs of a made-up scenario, and draws them.
fn draw(out: &Path, fake: &Fake, protocols: &[&str], seeds: std::ops::Range<u64>) -> Vec<PathBuf> {
    let mut records = Vec::new();
    for protocol in protocols {
        for seed in seeds.clone() {
            let result = fixture::run(fake, protocol, seed);
            write_run(out, fake.name, &result).unwrap();
            records.push(result.record);
        }
    }
    write_summary(out, fake.name, &records).unwrap();
    plot(&out.join(fake.name)).unwrap()
}

/// As [`draw`], of services that move.
fn draw_moving(out: &Path, moving: &Moving, protocols: &[&str], seeds: std::ops::Range<u64>) -> Vec<PathBuf> {
    let each = protocols.iter().flat_map(|&protocol| seeds.clone().map(move |seed| (protocol, seed)));
    let results: Vec<RunResult> = each.map(|(protocol, seed)| moving::run(moving, protocol, seed)).collect();
    for result in &results {
        write_run(out, moving.name, result).unwrap();
    }
    let records: Vec<_> = results.into_iter().map(|result| result.record).collect();
    write_summary(out, moving.name, &records).unwrap();
    plot(&out.join(moving.name)).unwrap()
}

fn contents(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn minute(name: &'static str) -> Fake {
    Fake {
        name,
        duration: 60,
        warmup: 5,
        cuts: vec![(5, "before"), (20, "crash"), (40, "restart")],
        ..fixture::quake()
    }
}

#[test]
fn plots_come_from_the_files_alone_and_are_the_same_each_time() {
    let out = tempfile::tempdir().unwrap();
    let paths = draw(out.path(), &minute("quake"), &["raft", "optimistic"], 0..3);
    let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let expected =
        ["availability", "outage", "latency", "primaries"].map(|name| [format!("{name}.svg"), format!("{name}.png")]);
    assert_eq!(names, expected.concat());
    let first = contents(&paths);
    for path in &paths {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(plot(out.path()).unwrap(), paths, "the directory above draws the same");
    assert_eq!(contents(&paths), first);
    let [svg, png] = [&first[0], &first[1]];
    assert!(svg.starts_with(b"<svg width=\"1200\" "), "{}", String::from_utf8_lossy(&svg[..80]));
    assert!(String::from_utf8_lossy(svg).contains("<title>quake: availability of raft and optimistic</title>"));
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(png[16..20], 1_200_u32.to_be_bytes());
}

#[test]
fn a_plot_of_something_no_longer_measured_goes_away() {
    let out = tempfile::tempdir().unwrap();
    let paths = draw(out.path(), &Fake { power: true, ..minute("quake") }, &["raft"], 1..2);
    assert_eq!(paths.len(), 10);
    let power = out.path().join("quake/power.svg");
    assert!(power.exists());
    draw(out.path(), &minute("quake"), &["raft"], 1..2);
    assert!(!power.exists());
}

const SHORT_DAY: Moving = Moving { name: "day", sites: 4, machines: 3, services: 5, duration: 200 };

#[test]
fn services_that_move_are_drawn_from_the_files_alone_and_those_that_stay_are_not() {
    let out = tempfile::tempdir().unwrap();
    let paths = draw_moving(out.path(), &SHORT_DAY, &["save", "off"], 0..2);
    let names: Vec<_> = paths.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    for name in &NAMES[6..] {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 2, "{name}");
    }
    assert!(!names.contains(&"power"), "the plot of energy shows more");
    let first = contents(&paths);
    for path in &paths {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(plot(out.path()).unwrap(), paths);
    assert_eq!(contents(&paths), first);
    let svg = |name: &str| fs::read_to_string(out.path().join(format!("day/{name}.svg"))).unwrap();
    let told = [
        ("replicas", "<title>day: replicas and spread of services</title>"),
        ("replicas", "service-004"),
        ("machines", "site-03"),
        ("machines", "asleep"),
        ("energy", "all machines awake"),
        ("reprovision", "nothing is repaired"),
        ("readiness", "off: never"),
    ];
    for (name, text) in told {
        assert!(svg(name).contains(text), "{name}: {text}");
    }
    assert!(!svg("machines").contains("off"), "nothing moves there");

    draw_moving(out.path(), &SHORT_DAY, &["off"], 0..1);
    assert!(!out.path().join("day/machines.svg").exists(), "no run of the last command has agents");
}

#[test]
fn moving_services_are_drawn_inside_of_the_picture_however_many_they_are() {
    let sizes = [(3, 1, 1), (6, 4, 20), (10, 6, 21), (30, 20, 200)];
    for (sites, machines, services) in sizes {
        let moving = Moving { name: "many", sites, machines, services, duration: 120 };
        let mut results: Vec<RunResult> =
            ["save", "repair", "off"].into_iter().map(|protocol| moving::run(&moving, protocol, 1)).collect();
        // A result that tells of nothing but its machines, and none of them known.
        let mut empty = moving::run(&moving, "repair", 2);
        empty.record.residency = Some(crate::metrics::Residency::default());
        empty.record.metrics = MetricsTable::default();
        empty.power = None;
        results.push(empty);
        let read = |written: &Written| -> Result<_, OutputError> {
            let result = results.iter().find(|result| result.record == written.record).unwrap();
            Ok(data::Files { series: result.seconds.clone(), power: result.power.clone() })
        };
        let scenario = scenario::from_value(&moving.resolved()).unwrap();
        let all = results.iter().map(Written::of).collect();
        let runs = Runs::gather(all, places::Places::of(&scenario), read).unwrap().unwrap();
        for (name, scene) in scenes(&runs).into_iter().filter_map(|(name, scene)| Some((name, scene?))) {
            let what = format!("{name} of {services} services on {sites} times {machines} machines");
            check_inside(&scene, &what);
            if name == "readiness" {
                check_texts_apart(&scene, &what);
            }
            assert!(!render::svg(&scene).unwrap().contains("NaN"), "{what}");
        }
    }
}

#[test]
fn only_the_runs_of_the_last_command_are_drawn_and_all_without_a_summary() {
    let out = tempfile::tempdir().unwrap();
    draw(out.path(), &minute("quake"), &["raft"], 1..3);
    draw(out.path(), &minute("quake"), &["optimistic"], 1..2);
    let dir = out.path().join("quake");
    let svg = || fs::read_to_string(dir.join("availability.svg")).unwrap();
    assert!(svg().contains("availability of optimistic") && !svg().contains("raft"));
    fs::remove_file(dir.join("summary.json")).unwrap();
    plot(&dir).unwrap();
    assert!(svg().contains("availability of optimistic and raft"));
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let out = tempfile::tempdir().unwrap();
    assert!(matches!(plot(out.path()).unwrap_err(), OutputError::NoResults { .. }));
    let error = plot(&out.path().join("none")).unwrap_err();
    assert!(matches!(error, OutputError::Read { .. }), "{error}");

    draw(out.path(), &minute("quake"), &["raft"], 1..3);
    let mut other = fixture::run(&minute("quake"), "raft", 2);
    other.record.scenario.hash = "changed".into();
    write_run(out.path(), "quake", &other).unwrap();
    let error = plot(out.path()).unwrap_err();
    assert!(error.to_string().contains("seed-2/result.json: it is of another version of the scenario"), "{error}");

    fs::write(out.path().join("quake/raft/seed-1/result.json"), "{").unwrap();
    assert!(matches!(plot(out.path()).unwrap_err(), OutputError::Content { .. }));
}

/// Runs with nothing, or with too much, of everything.
fn weird() -> Vec<Vec<RunResult>> {
    let normal = || fixture::run(&minute("weird"), "raft", 1);
    let with = |change: &dyn Fn(&mut RunResult)| {
        let mut result = normal();
        change(&mut result);
        result
    };
    let bare = with(&|result| {
        result.record.metrics = MetricsTable::default();
        (result.record.phases, result.record.recoveries) = (vec![], vec![]);
        result.seconds.clear();
    });
    let quiet = with(&|result| {
        for second in &mut result.seconds[0].1 {
            *second = Second { second: second.second, ..Second::default() };
        }
    });
    let extreme = with(&|result| {
        for (index, second) in result.seconds[0].1.iter_mut().enumerate() {
            *second = Second {
                requests: u32::MAX,
                ok: if index % 2 == 0 { u32::MAX } else { 0 },
                primaries: u32::MAX,
                view_members: u32::MAX,
                latency_p50_ms: Some(if index % 2 == 0 { 0.0 } else { 1e300 }),
                latency_p99_ms: Some(f64::MAX),
                nodes_awake: Some(0),
                watts: Some(if index % 3 == 0 { 0.0 } else { 1e12 }),
                ..second.clone()
            };
        }
        result.record.metrics.all.outage_total_s = Some(3.2e9);
        result.record.metrics.all.outage_longest_s = Some(0.0);
    });
    let phases = with(&|result| {
        let metrics = MetricsTable::default();
        let label =
            |index: u32| ["", "<&\">'", "a label that is far too long ".repeat(9).leak(), "地震"][index as usize % 4];
        result.record.phases = (0..300)
            .map(|index| Phase {
                from_s: f64::from(index / 2) * 0.4,
                to_s: f64::from(index / 2 + 1) * 0.4,
                label: label(index).into(),
                metrics: metrics.clone(),
            })
            .collect();
    });
    let century = with(&|result| {
        result.record.phases[2].to_s = 3.1536e9;
    });
    let services = with(&|result| {
        let rows = result.seconds[0].1.clone();
        result.seconds = (0..9).map(|index| (format!("service-{index}"), rows[..index * 5].to_vec())).collect();
    });
    let many = (0..12)
        .map(|index| with(&|result| result.record.protocol = format!("{index}-{}", "long-label".repeat(6))))
        .collect();
    let mut cases: Vec<Vec<RunResult>> =
        [bare, quiet, extreme, phases, century, services].into_iter().map(|result| vec![result]).collect();
    // Seeds of different lengths, one of them without anything.
    cases.push(vec![
        normal(),
        with(&|result| {
            result.record.seed = 2;
            result.seconds[0].1.truncate(7);
        }),
    ]);
    cases.push(many);
    cases
}

#[test]
fn weird_results_are_drawn_without_panic_and_the_same_twice() {
    for (index, results) in weird().into_iter().enumerate() {
        let series = |written: &Written| -> Result<_, OutputError> {
            let result = results.iter().find(|result| result.record == written.record);
            let power = result.and_then(|result| result.power.clone());
            Ok(result.map(|result| data::Files { series: result.seconds.clone(), power }).unwrap_or_default())
        };
        let all = || results.iter().map(Written::of).collect();
        let draw = || scenes(&Runs::gather(all(), None, series).unwrap().unwrap());
        let scenes = draw();
        assert_eq!(scenes, draw(), "case {index}");
        for (name, scene) in scenes.into_iter().filter_map(|(name, scene)| Some((name, scene?))) {
            check_inside(&scene, &format!("case {index}, {name}"));
            let svg = render::svg(&scene).unwrap();
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "case {index}, {name}");
            render::png(&scene).unwrap();
        }
    }
    let none = Runs::gather(vec![], None, |_| Ok::<_, OutputError>(data::Files::default())).unwrap();
    assert!(none.is_none());
}

/// All that is drawn lies within the picture.
fn check_inside(scene: &Scene, what: &str) {
    let (width, height) = (f64::from(scene.width), f64::from(scene.height));
    let inside = |x: f64, y: f64| {
        assert!((-1.0..=width + 1.0).contains(&x) && (-1.0..=height + 1.0).contains(&y), "{what}: ({x}, {y})");
    };
    for shape in &scene.shapes {
        match shape {
            scene::Shape::Rect { from, to, .. } => {
                inside(from.0, from.1);
                inside(to.0, to.1);
            }
            scene::Shape::Line { points, .. } => points.iter().for_each(|at| inside(at.0, at.1)),
            scene::Shape::Columns { columns, .. } => {
                columns.iter().flat_map(|it| [(it.0, it.2), (it.1, it.3)]).for_each(|at| inside(at.0, at.1));
            }
            scene::Shape::Text { at, text, anchor, font } => {
                let long = scene::text_width(text, *font);
                let left = match anchor {
                    scene::Anchor::Left => at.0,
                    scene::Anchor::Middle => at.0 - long / 2.0,
                    scene::Anchor::Right => at.0 - long,
                };
                inside(left, at.1 - font.size);
                inside(left + long, at.1);
            }
        }
    }
}

#[test]
fn labels_of_phases_never_overlap() {
    for count in [1, 3, 5, 8, 12, 30, 200] {
        for gap in [4.0, 25.0, 90.0, 200.0] {
            let phases: Vec<Mark> = (0..count)
                .map(|index| Mark { from_s: 0.0, to_s: 0.0, label: format!("crash of zone number {index}") })
                .collect();
            let xs: Vec<f64> = (0..count).map(|index| (110.0 + f64::from(index) * gap).min(1_160.0)).collect();
            let mut scene = Scene { title: String::new(), width: 1_200, height: 400, shapes: vec![] };
            let labels = phases::Labels::arrange(&phases, &xs, 104.0, 1_170.0);
            labels.draw(&mut scene, &xs, 200.0);
            labels.draw_legend(&mut scene, &phases, 104.0, 210.0);
            check_inside(&scene, "labels");
            check_apart(&scene, &format!("{count} phases, {gap} apart"));
        }
    }
}

/// No two texts, and no text and line, cover each other.
fn check_apart(scene: &Scene, what: &str) {
    let boxes = check_texts_apart(scene, what);
    for shape in &scene.shapes {
        let scene::Shape::Line { points, .. } = shape else { continue };
        let (x, top, bottom) = (points[0].0, points[0].1, points[1].1);
        for text in &boxes {
            let crosses = text.0 < x && x < text.1 && text.2 < bottom && top < text.3;
            assert!(!crosses, "{what}: a line through `{}`", text.4);
        }
    }
}

/// No two texts cover each other. Returns them with the space that each takes: left, right, top and bottom.
fn check_texts_apart<'a>(scene: &'a Scene, what: &str) -> Vec<(f64, f64, f64, f64, &'a str)> {
    let mut boxes: Vec<(f64, f64, f64, f64, &str)> = Vec::new();
    for shape in &scene.shapes {
        if let scene::Shape::Text { at, text, font, .. } = shape {
            boxes.push((at.0, at.0 + scene::text_width(text, *font), at.1 - font.size * 0.8, at.1 + 2.0, text));
        }
    }
    for (index, one) in boxes.iter().enumerate() {
        for other in &boxes[index + 1..] {
            let apart = one.1 <= other.0 || other.1 <= one.0 || one.3 <= other.2 || other.3 <= one.2;
            assert!(apart, "{what}: `{}` and `{}`", one.4, other.4);
        }
    }
    boxes
}

/// The pictures to look at, kept in the directory that `FIREDRILL_GALLERY` names.
#[test]
fn the_gallery_is_drawn_on_request() {
    let Some(kept) = std::env::var_os("FIREDRILL_GALLERY") else { return };
    let out = Path::new(&kept);
    for (name, sites, machines, services) in [("m24", 6, 4, 20), ("m60", 10, 6, 60), ("m600", 30, 20, 200)] {
        let moving = Moving { name, sites, machines, services, duration: 7_200 };
        draw_moving(out, &moving, &["save", "repair", "off"], 1..2);
    }
    let three = ["optimistic", "raft", "static-primary"];
    let quake = |name| Fake { name, ..fixture::quake() };
    draw(out, &quake("one"), &["optimistic"], 1..2);
    draw(out, &quake("three"), &three, 1..2);
    draw(out, &quake("seeds"), &three, 0..20);
    let services = vec!["board", "accounts", "mail"];
    draw(out, &Fake { services, power: true, ..quake("services") }, &three, 1..2);
    let cuts = vec![
        (600, "before"),
        (21_600, "typhoon: crash of zone kanto and of everything that hangs on its power"),
        (32_400, "partition tokyo | rest"),
        (43_200, "partition ends"),
        (64_800, "restart tokyo"),
    ];
    draw(out, &Fake { duration: 86_400, warmup: 600, cuts, rate: 20, ..quake("day") }, &three, 1..2);
    let either = |index: u64, one, other| if index.is_multiple_of(2) { one } else { other };
    let cuts = (0..12).map(|index| (20 + index * 25, either(index, "flap tokyo <-> sendai", "flap ends"))).collect();
    draw(out, &Fake { cuts, ..quake("flap") }, &["optimistic", "raft"], 1..2);
    let cuts = (0..60).map(|index| (20 + index * 3, either(index, "cut tokyo to osaka", "cut ends"))).collect();
    let four = ["omnipaxos", "viewstamped", "lazy-consensus", "dynamic-voting"];
    draw(out, &Fake { cuts, ..quake("short") }, &[&three[..], &four[..]].concat(), 1..2);
}
