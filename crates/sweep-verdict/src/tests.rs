//! Tests the rules together, on published curves and on synthetic ones with known problems.

use proptest::prelude::*;

use super::*;
use sweep_sample::curves::{Kind, course, curve};

const SEEDS: u64 = 200;

const TEN_CLASSES: Context = Context {
    task: Task::Images,
    objective: None,
    score: None,
    loss_has_parts: false,
    parameters: None,
    classes: Some(10),
    dropout: Some(0.2),
    weight_decay: Some(0.0),
    epochs_planned: None,
    others: None,
    divergence: None,
    mirror: Mirror::Unknown,
    leaves_images_out: false,
    single_batches: false,
    followed: Vec::new(),
};

fn names(findings: &[Finding]) -> Vec<Name> {
    findings.iter().map(|finding| finding.name).collect()
}

fn published(file: &str) -> Vec<EpochMetrics> {
    let path = format!("{}/tests/fixtures/curves/{file}", concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut reader = csv::Reader::from_path(path).expect("the fixture is there");
    let rows = reader.records().map(|row| {
        let row = row.expect("the fixture is a table");
        let number = |at: usize| row[at].parse::<f64>().expect("a number");
        EpochMetrics {
            epoch: number(0) as u32,
            train_loss: Some(number(1)),
            train_accuracy: Some(number(2)),
            val_loss: Some(number(3)),
            val_accuracy: Some(number(4)),
            ..EpochMetrics::default()
        }
    });
    rows.collect()
}

/// Returns the share of seeds for which the finding is made, on curves of 25 to 100 epochs with typical noise.
fn found(kind: Kind, context: &Context, name: Name, evaluated: bool) -> f64 {
    let hits = (0..SEEDS).filter(|&seed| {
        let (epochs, noise) = (25 + (seed % 4) as u32 * 25, 0.005 + 0.02 * (seed % 5) as f64 / 4.0);
        names(&judge(&curve(kind, epochs, noise, seed, evaluated), context)).contains(&name)
    });
    hits.count() as f64 / SEEDS as f64
}

fn evidence(finding: &Finding, what: &str) -> f64 {
    finding.evidence.iter().find(|evidence| evidence.what == what).expect("that evidence is given").value
}

#[test]
fn the_published_question_overfits_from_about_epoch_36_under_a_low_ceiling() {
    for context in [Context::default(), TEN_CLASSES] {
        let findings = judge(&published("question.csv"), &context);
        assert_eq!(names(&findings), [Name::LowCeiling, Name::Overfit, Name::Plateau], "{findings:#?}");
        let [ceiling, overfit, plateau] = &findings[..] else { panic!("three findings") };
        assert_eq!(evidence(overfit, "epoch of onset"), 36.0);
        assert_eq!(evidence(overfit, "epochs trained since"), 14.0);
        assert_eq!(overfit.severity, Severity::Clear);
        assert!((evidence(ceiling, "training accuracy at that epoch") - 0.66).abs() < 0.005);
        assert!((evidence(plateau, "validation accuracy of the plateau") - 0.61).abs() < 0.005);
        let advice = merged_advice(&findings);
        assert_eq!(advice[0], Advice::CheckData);
        assert!(advice.contains(&Advice::CheckCapacity) && advice.contains(&Advice::NoMoreDropout));
        assert!(!advice.contains(&Advice::MoreRegularization));
    }
}

#[test]
fn the_low_ceiling_shows_in_the_training_loss_alone() {
    let mut question = published("question.csv");
    for epoch in &mut question {
        epoch.train_accuracy = None;
    }
    let findings = judge(&question, &Context::default());
    assert_eq!(names(&findings), [Name::LowCeiling, Name::Overfit, Name::Plateau], "{findings:#?}");
    assert!(!merged_advice(&findings).contains(&Advice::MoreRegularization));
}

#[test]
fn five_epochs_of_the_published_answer_show_clear_overfitting() {
    let findings = judge(&published("strided.csv"), &Context::default());
    assert_eq!(names(&findings), [Name::Overfit], "{findings:#?}");
    assert_eq!(findings[0].severity, Severity::Clear);
    assert!(findings[0].advice.contains(&Advice::MoreRegularization));
}

#[test]
fn the_beginning_of_the_published_question_is_not_judged_as_the_whole() {
    let question = published("question.csv");
    assert_eq!(names(&judge(&question[..3], &Context::default())), [Name::TooShort]);
    let ten = judge(&question[..10], &Context::default());
    assert!(names(&ten).contains(&Name::StillImproving) && !names(&ten).contains(&Name::Overfit), "{ten:#?}");
    // The forecast of the first 20 epochs for epoch 30 covers the actual value, 0.6037.
    let twenty = judge(&question[..20], &Context::default());
    let improving = twenty.iter().find(|finding| finding.name == Name::StillImproving).expect("it still improves");
    assert_eq!(evidence(improving, "forecast for epoch"), 30.0);
    let (worst, best) =
        (evidence(improving, "worst forecast (90% interval)"), evidence(improving, "best forecast (90% interval)"));
    assert!(worst < 0.6037 && 0.6037 < best && best - worst < 0.2, "{improving:#?}");
}

#[test]
fn what_is_planted_is_found() {
    let strong = Context { dropout: Some(0.6), ..TEN_CLASSES };
    for evaluated in [true, false] {
        assert_eq!(found(Kind::Overfit, &TEN_CLASSES, Name::Overfit, evaluated), 1.0);
        assert_eq!(found(Kind::Underfit, &TEN_CLASSES, Name::Underfit, evaluated), 1.0);
        assert_eq!(found(Kind::LowCeiling, &TEN_CLASSES, Name::LowCeiling, evaluated), 1.0);
        assert_eq!(found(Kind::Stuck, &TEN_CLASSES, Name::Stuck, evaluated), 1.0);
        assert_eq!(found(Kind::Stuck, &Context::default(), Name::Stuck, evaluated), 1.0);
        assert_eq!(found(Kind::Exploded, &TEN_CLASSES, Name::Diverged, evaluated), 1.0);
        assert_eq!(found(Kind::Swinging, &TEN_CLASSES, Name::Unstable, evaluated), 1.0);
        assert!(found(Kind::Improving, &TEN_CLASSES, Name::StillImproving, evaluated) > 0.95);
        assert!(found(Kind::Good, &TEN_CLASSES, Name::GoodFit, evaluated) > 0.97);
    }
    assert!(found(Kind::OverRegularized, &strong, Name::OverRegularized, true) > 0.95);
}

#[test]
fn what_is_not_there_is_not_found() {
    let strong = Context { dropout: Some(0.6), ..TEN_CLASSES };
    let absent = [
        (Kind::Good, &strong, vec![Name::Overfit, Name::Underfit, Name::LowCeiling, Name::OverRegularized]),
        (Kind::Overfit, &strong, vec![Name::Underfit, Name::OverRegularized, Name::LowCeiling, Name::GoodFit]),
        (Kind::Underfit, &TEN_CLASSES, vec![Name::Overfit, Name::OverRegularized, Name::GoodFit, Name::Stuck]),
        (Kind::OverRegularized, &TEN_CLASSES, vec![Name::OverRegularized, Name::Overfit, Name::GoodFit]),
        (Kind::Improving, &TEN_CLASSES, vec![Name::Overfit, Name::Plateau, Name::LowCeiling, Name::GoodFit]),
        (Kind::LowCeiling, &TEN_CLASSES, vec![Name::GoodFit, Name::StillImproving]),
        (Kind::Swinging, &TEN_CLASSES, vec![Name::GoodFit, Name::Diverged]),
    ];
    for (kind, context, absent) in absent {
        for name in absent {
            let share = found(kind, context, name, true);
            assert!(share < 0.03, "{name} in {:.1}% of {kind:?} curves", share * 100.0);
        }
    }
}

#[test]
fn strong_regularization_is_suspected_where_nothing_is_known_but_training_lags() {
    // Measured during training with heavy dropout: accuracy is well below validation accuracy.
    let mut curve = curve(Kind::OverRegularized, 40, 0.01, 3, false);
    for epoch in &mut curve {
        epoch.train_accuracy = epoch.train_accuracy.map(|accuracy| accuracy - 0.1);
    }
    assert!(names(&judge(&curve, &Context::default())).contains(&Name::OverRegularized));
    let none = Context { dropout: Some(0.0), weight_decay: Some(0.0), ..TEN_CLASSES };
    assert!(!names(&judge(&curve, &none)).contains(&Name::OverRegularized));
}

#[test]
fn advice_that_is_followed_already_is_not_given() {
    let curve = curve(Kind::Overfit, 40, 0.01, 1, true);
    let advice = |followed| merged_advice(&judge(&curve, &Context { followed, ..TEN_CLASSES }));
    assert!(advice(vec![]).contains(&Advice::BatchNorm));
    let left = advice(vec![Advice::BatchNorm]);
    assert!(!left.contains(&Advice::BatchNorm) && left.contains(&Advice::StopEarly), "{left:?}");
}

#[test]
fn a_network_that_learns_nothing_but_a_little_in_every_epoch_is_told_to_take_larger_steps() {
    let creeping = |epoch: u32| 2.3167 - 1e-4 * f64::from(epoch);
    let restless = |epoch: u32| 2.3 + 0.003 * f64::from(epoch % 3);
    for (loss, larger) in [(&creeping as &dyn Fn(u32) -> f64, true), (&restless, false)] {
        let epoch = |epoch| EpochMetrics {
            epoch,
            train_loss: Some(loss(epoch)),
            train_accuracy: Some(0.1),
            val_loss: Some(loss(epoch)),
            val_accuracy: Some(0.1),
            ..EpochMetrics::default()
        };
        let findings = judge(&(1..=20).map(epoch).collect::<Vec<_>>(), &TEN_CLASSES);
        assert_eq!(findings[0].name, Name::Stuck, "{findings:#?}");
        let advice = merged_advice(&findings);
        let has = [Advice::HigherLearningRate, Advice::LowerLearningRate].map(|one| advice.contains(&one));
        assert_eq!(has, [larger, !larger], "{advice:?}");
    }
}

#[test]
fn a_loss_that_has_settled_is_not_told_to_take_larger_steps() {
    let course = |settled: bool, epoch: f64| match settled {
        true => 0.578 + 0.1 * (-5.0 * epoch).exp() + 1e-6 * (20.0 - epoch),
        false => std::f64::consts::LN_2 - 8e-5 * epoch,
    };
    for settled in [true, false] {
        let epoch = |epoch: u32| EpochMetrics {
            epoch,
            train_loss: Some(course(settled, f64::from(epoch))),
            val_loss: Some(course(settled, f64::from(epoch)) + 0.07),
            ..EpochMetrics::default()
        };
        let findings = judge(&(1..=20).map(epoch).collect::<Vec<_>>(), &Context::default());
        assert_eq!(findings[0].name, if settled { Name::Stuck } else { Name::Underfit }, "{findings:#?}");
        assert_eq!(merged_advice(&findings).contains(&Advice::HigherLearningRate), !settled, "{findings:#?}");
    }
}

#[test]
fn a_network_that_fits_badly_and_better_in_every_epoch_is_told_to_take_larger_steps() {
    let epoch = |epoch: u32| EpochMetrics {
        epoch,
        train_loss: Some(2.29 - 8e-4 * f64::from(epoch)),
        train_accuracy: Some(0.129 + 0.0015 * f64::from(epoch.min(15))),
        val_loss: Some(2.28 - 8e-4 * f64::from(epoch)),
        val_accuracy: Some(0.144 + 0.0015 * f64::from(epoch.min(15))),
        ..EpochMetrics::default()
    };
    let findings = judge(&(1..=20).map(epoch).collect::<Vec<_>>(), &TEN_CLASSES);
    assert_eq!(findings[0].name, Name::Underfit, "{findings:#?}");
    assert!(merged_advice(&findings).contains(&Advice::HigherLearningRate), "{findings:#?}");
}

#[test]
fn noise_without_a_trend_is_neither_overfitting_nor_improvement() {
    let flat = |seed| {
        let mut flat = curve(Kind::Good, 40, 0.05, seed, true);
        flat.drain(..10);
        flat
    };
    let wrong = (0..SEEDS).filter(|&seed| {
        let names = names(&judge(&flat(seed), &TEN_CLASSES));
        names.contains(&Name::Overfit) || names.contains(&Name::StillImproving)
    });
    let wrong: Vec<_> = wrong.map(|seed| judge(&flat(seed), &TEN_CLASSES)).collect();
    assert!(wrong.len() <= SEEDS as usize / 50, "{} {wrong:#?}", wrong.len());
}

#[test]
fn forecasts_cover_what_comes_nine_times_in_ten() {
    let mut forecasts = 0;
    let covered = (0..SEEDS).filter(|&seed| {
        let epochs = 20 + (seed % 4) as u32 * 20;
        let mut curve = curve(Kind::Improving, epochs * 2, 0.02, seed, true);
        curve.truncate(epochs as usize);
        let context = TEN_CLASSES;
        let view = View::new(&curve, &context);
        let Some(outlook) = view.outlook else { return false };
        forecasts += 1;
        let truth = course(Kind::Improving, f64::from(outlook.until), f64::from(epochs * 2))[3];
        outlook.between[0] <= truth && truth <= outlook.between[1]
    });
    let covered = covered.count();
    assert!(forecasts > 190 && covered * 10 >= forecasts * 9, "{covered} of {forecasts}");
}

#[test]
fn where_other_trials_reach_more_the_ceiling_is_low() {
    let others = Others { train_accuracy: Some(0.96), val_accuracy: Some(0.93) };
    let context = Context { others: Some(others), ..TEN_CLASSES };
    assert_eq!(found(Kind::OverRegularized, &context, Name::LowCeiling, true), 1.0);
    assert_eq!(found(Kind::Good, &context, Name::LowCeiling, true), 0.0);
}

#[test]
fn poor_training_beside_trials_that_learn_is_the_settings_fault_or_none() {
    let curve = curve(Kind::LowCeiling, 60, 0.01, 4, true);
    let judged = |others| judge(&curve, &Context { others, ..TEN_CLASSES });
    let learnt = |val| Some(Others { train_accuracy: Some(0.99), val_accuracy: Some(val) });
    let find = |findings: Vec<Finding>| findings.into_iter().find(|finding| finding.name == Name::LowCeiling);
    let alone = find(judged(None)).expect("training is poor");
    assert!(alone.advice.contains(&Advice::CheckData));
    let kept = find(judged(learnt(0.7))).expect("others reach more");
    assert_eq!(
        kept.advice,
        [Advice::DefaultAdam],
        "regularization is not the limit where training is 8 points ahead: {kept:?}"
    );
    assert!(kept.headline.contains("The limit is this trial's parameters, not the data"), "{kept:?}");
    // No trial validates better, so poor training is what good validation requires.
    assert_eq!(find(judged(learnt(0.55))), None);
}

#[test]
fn less_training_accuracy_than_others_is_no_fault_where_validation_is_as_good() {
    // Another trial overfits: higher training accuracy, but no higher validation accuracy.
    let others = Others { train_accuracy: Some(1.0), val_accuracy: Some(0.9) };
    let context = Context { others: Some(others), ..TEN_CLASSES };
    let mut curve = curve(Kind::Good, 50, 0.01, 4, true);
    for epoch in &mut curve {
        epoch.train_eval_accuracy = epoch.train_eval_accuracy.map(|accuracy| accuracy * 0.9);
        epoch.val_accuracy = epoch.val_accuracy.map(|accuracy| accuracy * 0.9);
    }
    let found = names(&judge(&curve, &context));
    assert!(found.contains(&Name::GoodFit), "{found:?}");
}

#[test]
fn values_that_are_not_finite_are_a_divergence_in_their_epoch() {
    let mut curve = curve(Kind::Good, 20, 0.01, 1, false);
    curve[12].train_loss = Some(f64::NAN);
    let findings = judge(&curve, &Context::default());
    assert_eq!(names(&findings), [Name::Diverged]);
    assert_eq!(evidence(&findings[0], "epoch"), 13.0);
    let divergence = Divergence { epoch: 2, step: Some(717), what: "training loss is NaN".into() };
    let known = Context { divergence: Some(divergence), ..Context::default() };
    let findings = judge(&curve[..1], &known);
    assert!(findings[0].headline.contains("epoch 2, step 717: training loss is NaN"), "{}", findings[0].headline);
}

#[test]
fn evaluation_that_is_worse_than_training_on_the_same_pictures_is_no_matter_of_the_fit() {
    let mut curve = curve(Kind::Good, 20, 0.01, 2, true);
    for epoch in &mut curve {
        epoch.train_accuracy = epoch.train_eval_accuracy;
    }
    assert!(!names(&judge(&curve, &TEN_CLASSES)).contains(&Name::ModeMismatch));
    for epoch in &mut curve {
        epoch.train_eval_accuracy = epoch.train_eval_accuracy.map(|accuracy| accuracy * 0.4);
        epoch.val_accuracy = epoch.val_accuracy.map(|accuracy| accuracy * 0.4);
    }
    let findings = judge(&curve, &TEN_CLASSES);
    assert_eq!(names(&findings), [Name::ModeMismatch]);
    assert_eq!(findings[0].severity, Severity::Severe);
    assert_eq!(findings[0].advice[0], Advice::FasterStatistics);
    // After a few epochs, running statistics may still lag.
    assert!(!names(&judge(&curve[..5], &TEN_CLASSES)).contains(&Name::ModeMismatch));
}

#[test]
fn without_validation_generalization_is_not_judged() {
    let mut curve = curve(Kind::Good, 30, 0.01, 1, false);
    for epoch in &mut curve {
        (epoch.val_loss, epoch.val_accuracy) = (None, None);
    }
    let findings = judge(&curve, &TEN_CLASSES);
    assert!(names(&findings).contains(&Name::Unvalidated) && !names(&findings).contains(&Name::GoodFit));
}

#[test]
fn losses_alone_show_overfitting_and_a_good_fit() {
    let losses = |kind| {
        let mut curve = curve(kind, 40, 0.01, 3, true);
        for epoch in &mut curve {
            (epoch.val_accuracy, epoch.train_eval_accuracy) = (None, None);
        }
        names(&judge(&curve, &Context::default()))
    };
    assert!(losses(Kind::Overfit).contains(&Name::Overfit));
    assert!(losses(Kind::Good).contains(&Name::GoodFit));
}

#[test]
fn a_gap_between_different_metrics_is_unknown_and_not_called_larger() {
    let mut curve = curve(Kind::Good, 40, 0.01, 3, false);
    for epoch in &mut curve {
        (epoch.train_accuracy, epoch.val_loss) = (None, None);
    }
    let findings = judge(&curve, &Context::default());
    let good = findings.iter().find(|finding| finding.name == Name::GoodFit).expect("it fits");
    assert!(good.headline.contains("gap is unknown") && !good.headline.contains("larger"), "{}", good.headline);
}

#[test]
fn the_same_curve_in_a_tenth_of_the_epochs_is_judged_alike() {
    let full = curve(Kind::Overfit, 300, 0.02, 5, true);
    let tenth: Vec<_> = full.iter().filter(|epoch| epoch.epoch % 10 == 0).copied().collect();
    for curve in [full, tenth] {
        let findings = judge(&curve, &TEN_CLASSES);
        let overfit = findings.iter().find(|finding| finding.name == Name::Overfit).expect("it overfits");
        let onset = evidence(overfit, "epoch of onset");
        assert!((80.0..=180.0).contains(&onset), "{onset}");
    }
}

#[test]
fn findings_in_json_have_stable_names_and_advice_as_text() {
    let json = serde_json::to_value(judge(&published("question.csv"), &TEN_CLASSES)).expect("it is plain data");
    assert_eq!(json[1]["name"], "overfit");
    assert_eq!(json[1]["severity"], "clear");
    assert_eq!(json[1]["evidence"][0]["unit"], "epoch");
    assert!(json[0]["advice"][0].as_str().expect("advice is text").contains("transpose"));
}

#[test]
fn numbers_have_their_significant_digits() {
    let four = [1.40237, 9.99996, 0.01234567, 123.456, 12_345.6, 2.0, 0.0, 1.5e-5, 2e9, -0.25]
        .map(|value| significant(value, 4));
    let expected = ["1.402", "10.00", "0.01235", "123.5", "12346", "2", "0", "1.500e-5", "2.000e9", "-0.2500"];
    assert_eq!(four, expected);
    assert_eq!([0.575, 1.0, 0.0, 0.99996].map(percent), ["57.5%", "100%", "0%", "100.0%"]);
    assert_eq!(significant(0.0382, 2), "0.038");
}

/// Any number that a metric can have, and numbers that it should not have.
fn any_value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), (0.0..3.0).prop_map(Some), any::<f64>().prop_map(Some), Just(Some(0.0))]
}

proptest! {
    #[test]
    fn no_curve_panics_and_every_curve_gets_a_verdict(
        rows in proptest::collection::vec((any::<u32>(), proptest::array::uniform6(any_value())), 0..60),
        sorted in any::<bool>(),
        classes in proptest::option::of(any::<u32>()),
    ) {
        let mut rows = rows;
        if sorted {
            rows.sort_by_key(|row| row.0);
        }
        let curve: Vec<_> = rows.into_iter().map(|(epoch, v)| EpochMetrics {
            epoch, train_loss: v[0], train_accuracy: v[1], train_eval_loss: v[2], train_eval_accuracy: v[3],
            val_loss: v[4], val_accuracy: v[5], ..EpochMetrics::default()
        }).collect();
        let findings = judge(&curve, &Context { classes, ..Context::default() });
        prop_assert!(!findings.is_empty());
        for finding in &findings {
            prop_assert!(!finding.headline.is_empty());
        }
    }

    // Fewer than twelve epochs with that much noise can look like anything.
    #[test]
    fn more_noise_never_turns_a_finding_into_its_opposite(seed in any::<u64>(), noise in 0.0..0.3_f64, n in 12..80_u32) {
        let strong = Context { dropout: Some(0.6), ..TEN_CLASSES };
        let opposite = [
            (Kind::Overfit, vec![Name::Underfit, Name::OverRegularized, Name::Stuck]),
            (Kind::Underfit, vec![Name::Stuck, Name::GoodFit]),
            (Kind::Good, vec![Name::Underfit, Name::Stuck, Name::LowCeiling]),
            (Kind::Stuck, vec![Name::GoodFit, Name::Overfit, Name::StillImproving]),
        ];
        for (kind, opposite) in opposite {
            let found = names(&judge(&curve(kind, n, noise, seed, true), &strong));
            prop_assert!(!found.iter().any(|name| opposite.contains(name)), "{kind:?}: {found:?}");
        }
    }

    #[test]
    fn a_loss_in_other_units_gets_the_same_verdict(seed in 0..1000_u64, scale in 0.1..10.0_f64) {
        let curve = curve(Kind::Overfit, 40, 0.02, seed, true);
        let scaled: Vec<_> = curve.iter().map(|epoch| EpochMetrics {
            train_eval_loss: epoch.train_eval_loss.map(|loss| loss * scale),
            val_loss: epoch.val_loss.map(|loss| loss * scale),
            ..*epoch
        }).collect();
        let verdict = |curve: &[EpochMetrics]| names(&judge(curve, &Context::default()));
        prop_assert_eq!(verdict(&curve), verdict(&scaled));
    }
}
