//! The smallest mesh in which a difference stays.

use super::world::World;
use anyhow::Result;
use serde_json::Value;

/// Leaves out objects, many at a time, then parts of them, as long as `stays` says so; asks at most `tries` times.
pub(super) fn shrink(world: World, mut tries: usize, mut stays: impl FnMut(&World) -> Result<bool>) -> Result<World> {
    let mut world = fewer(world, &mut tries, &mut stays)?;
    loop {
        let mut smaller = false;
        let mut next = 0;
        while let Some(cut) = cuts(&world).get(next) {
            if tries == 0 {
                return Ok(world);
            }
            tries -= 1;
            let without = cut.apply(&world);
            if stays(&without)? {
                // What comes after has moved to this place.
                world = without;
                smaller = true;
            } else {
                next += 1;
            }
        }
        if !smaller {
            return Ok(world);
        }
    }
}

/// Leaves out half of the objects, a quarter, …
fn fewer(mut world: World, tries: &mut usize, stays: &mut impl FnMut(&World) -> Result<bool>) -> Result<World> {
    let count = |world: &World| world.mesh.len() + world.clusters.iter().map(Vec::len).sum::<usize>();
    let mut chunk = count(&world).div_ceil(2);
    while chunk > 1 && *tries > 0 {
        let mut from = 0;
        while from < count(&world) && *tries > 0 {
            *tries -= 1;
            let mut without = world.clone();
            let mut number = 0;
            for list in 0..3 {
                objects(&mut without, list).retain(|_| {
                    number += 1;
                    !(from..from + chunk).contains(&(number - 1))
                });
            }
            if stays(&without)? {
                world = without;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    Ok(world)
}

/// Something that can be left out.
enum Cut {
    /// Every object of a member cluster.
    Cluster(usize),
    /// An object: of the mesh (0) or of a member.
    Object(usize, usize),
    /// A field or an item of one.
    Part(usize, usize, String),
}

impl Cut {
    fn apply(&self, world: &World) -> World {
        let mut world = world.clone();
        match self {
            Self::Cluster(list) => objects(&mut world, *list).clear(),
            Self::Object(list, index) => drop(objects(&mut world, *list).remove(*index)),
            Self::Part(list, index, pointer) => remove(&mut objects(&mut world, *list)[*index], pointer),
        }
        world
    }
}

fn objects(world: &mut World, list: usize) -> &mut Vec<Value> {
    match list {
        0 => &mut world.mesh,
        member => &mut world.clusters[member - 1],
    }
}

/// Big ones first.
fn cuts(world: &World) -> Vec<Cut> {
    let lists = || std::iter::once(&world.mesh).chain(&world.clusters).enumerate();
    let clusters =
        lists().filter(|(list, objects)| *list > 0 && !objects.is_empty()).map(|(list, _)| Cut::Cluster(list));
    let whole = lists().flat_map(|(list, objects)| (0..objects.len()).map(move |index| Cut::Object(list, index)));
    let mut cuts: Vec<Cut> = clusters.chain(whole).collect();
    for (index, object) in world.mesh.iter().enumerate() {
        let mut pointers = Vec::new();
        parts(&object["spec"], "/spec", &mut pointers);
        pointers.sort_by_key(|pointer| pointer.matches('/').count());
        cuts.extend(pointers.into_iter().map(|pointer| Cut::Part(0, index, pointer)));
    }
    cuts
}

/// Every field and every item below a value.
fn parts(value: &Value, pointer: &str, found: &mut Vec<String>) {
    let mut add = |key: &str, value: &Value| {
        let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        parts(value, &pointer, found);
        found.push(pointer);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| add(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| add(&index.to_string(), value)),
        _ => {}
    }
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&key.replace("~1", "/").replace("~0", "~"))),
        Some(Value::Array(items)) => {
            if let Ok(index) = key.parse() {
                items.remove(index);
            }
        }
        _ => {}
    }
}
