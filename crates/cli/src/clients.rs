//! Which clients the arguments name.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::Plan;
use testbed::driver::Driver;

use crate::check::Scenario;
use crate::print;

/// Every client that a name may stand for: the drivers, the clients that are wrong on purpose, and those that break their
/// process.
pub(crate) fn registry() -> Vec<Arc<dyn Driver>> {
    drivers::all().into_iter().chain(drivers::others()).chain(zoo::all()).chain(zoo::havoc()).collect()
}

/// What a run with `driver` is given: that one first, which makes it the driver of the clients that name none; `programs` are those
/// that clients name besides.
pub(crate) fn led_by(driver: &Arc<dyn Driver>, programs: &[Arc<dyn Driver>]) -> Vec<Arc<dyn Driver>> {
    let others = registry().into_iter().chain(programs.iter().cloned());
    std::iter::once(Arc::clone(driver)).chain(others.filter(|other| other.name() != driver.name())).collect()
}

/// The programs that clients of `scenarios` name as their drivers. Each is started to hear what it can; `None` after complaining about
/// one that cannot be used.
pub(crate) fn programs(scenarios: &[Scenario]) -> Option<Vec<Arc<dyn Driver>>> {
    let mut programs: Vec<Arc<dyn Driver>> = Vec::new();
    for scenario in scenarios {
        for client in &scenario.plan.clients {
            let Some(name) = client.driver.as_deref().filter(|name| name.starts_with(drivers::EXEC)) else { continue };
            if programs.iter().any(|known| known.name() == name) {
                continue;
            }
            match drivers::Program::new(&name[drivers::EXEC.len()..]) {
                Ok(program) => programs.push(Arc::new(program)),
                Err(error) => {
                    print::error(&format!("{}: the driver of {}: {error}", scenario.file, client.id));
                    return None;
                }
            }
        }
    }
    Some(programs)
}

/// The drivers of the clients of `plan`, if it is run with these.
pub(crate) fn taking_part<'a>(plan: &'a Plan, drivers: &'a [Arc<dyn Driver>]) -> impl Iterator<Item = &'a dyn Driver> {
    plan.clients.iter().filter_map(|client| {
        let named = |driver: &&Arc<dyn Driver>| client.driver.as_deref().is_none_or(|name| name == driver.name());
        drivers.iter().find(named).map(|driver| &**driver)
    })
}

/// The clients that the names given to `option` stand for; `all` for the drivers, `zoo` for the clients that are wrong on
/// purpose, `exec:` and a command for a program; each once. `None` after complaining about a name that there is not.
pub(crate) fn chosen(option: &str, asked: &[String]) -> Option<Vec<Arc<dyn Driver>>> {
    let mut chosen = Vec::new();
    for name in asked {
        match name.as_str() {
            "all" => chosen.extend(drivers::all()),
            "zoo" => chosen.extend(zoo::all()),
            "" => {
                print::error(&format!("{option}: a name is missing; write `{option} NAME,NAME`"));
                return None;
            }
            name if name.starts_with(drivers::EXEC) => match drivers::Program::new(&name[drivers::EXEC.len()..]) {
                Ok(program) => chosen.push(Arc::new(program)),
                Err(error) => {
                    print::error(&format!("{option} {name}: {error}"));
                    return None;
                }
            },
            name => match registry().into_iter().find(|driver| driver.name() == name) {
                Some(driver) => chosen.push(driver),
                None if drivers::OPTIONAL.contains(&name) => {
                    print::error(&format!("{option} {name}: this build lacks it; build with `--features all-clients`"));
                    return None;
                }
                None => {
                    let all: Vec<Arc<dyn Driver>> = drivers::all().into_iter().chain(drivers::others()).collect();
                    let all: Vec<&str> = all.iter().map(|driver| driver.name()).collect();
                    let all = all.join(", ");
                    let defect = format!("wrong-{}", name.to_lowercase());
                    let known = registry();
                    let known = || known.iter().map(|driver| driver.name());
                    let wrong = known().any(|known| known == defect).then(|| format!("did you mean `{defect}`?"));
                    let others = ["all", "zoo"].into_iter().chain(drivers::OPTIONAL.iter().copied());
                    let near = || scenario::did_you_mean(name, known().chain(others));
                    let meant = wrong.or_else(near).unwrap_or_else(|| {
                        format!(
                            "there are {all}; `all`; `zoo` for the clients that are wrong on purpose, which \
                             `sentinel-lab drivers --zoo` lists; and `exec:` with a command"
                        )
                    });
                    print::error(&format!("{option} {name}: there is no such driver; {meant}"));
                    return None;
                }
            },
        }
    }
    let mut named = BTreeSet::new();
    chosen.retain(|driver: &Arc<dyn Driver>| named.insert(driver.name().to_owned()));
    Some(chosen)
}
