//! The inventory: what the agent has applied to one target, with UIDs. Kept in a ConfigMap beside the FleetSync, so that
//! a restarted agent knows what is its own without asking the targets, and a dead target keeps its list.
//!
//! Written ahead: an object that is about to be created gets a line without UID first. If the agent ends between the
//! creation and its answer, the line says that an object of this name may be ours.

use asm_shared::drift::Fingerprint;
use asm_shared::object::{GroupKind, ObjectId};
use asm_shared::plan::{Applied, Inventory};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer as _};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufReader, BufWriter, Read as _};
use std::sync::Arc;

/// Key in the ConfigMap.
const KEY: &str = "inventory.json.gz";
/// Key of the cluster that it is about: the UID of its `kube-system`.
const CLUSTER: &str = "cluster";
/// Unpacked size that is taken at most; 100,000 lines need about 25 MiB.
const MAX_UNPACKED: u64 = 64 << 20;

/// Where one target's inventory is kept.
#[derive(Clone)]
pub(super) struct InventoryStore {
    api: Api<ConfigMap>,
    name: String,
    owner: OwnerReference,
}

/// Why an inventory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum InventoryError {
    /// The host's API server refused or did not answer.
    #[error("ConfigMap {name}: {source}")]
    Api {
        /// The ConfigMap.
        name: String,
        /// The answer.
        source: asm_io::cluster::ClusterError,
    },
    /// The content is not what the agent writes.
    #[error(
        "ConfigMap {name} does not hold an inventory ({why}); nothing is removed. Delete it to start over: objects that \
         left Git in the meantime then have to be removed by hand"
    )]
    Corrupt {
        /// The ConfigMap.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// One line as it is stored: group, place, `apiVersion`, UID, hash, fingerprint. Lines are read and written one by one: all of
/// them at once, in every target of a fleet that starts, would be most of what the agent needs.
#[derive(Serialize, Deserialize)]
struct Line<Text>(Text, Place<Text>, Text, Text, u64, Fingerprint);

/// Kind, namespace, name.
type Place<Text> = (Text, Option<Text>, Text);

impl InventoryStore {
    pub(super) fn new(
        client: kube::Client,
        namespace: &str,
        fleet_sync: &str,
        target: &str,
        owner: OwnerReference,
    ) -> Self {
        Self { api: Api::namespaced(client, namespace), name: format!("{fleet_sync}-{target}-inventory"), owner }
    }

    /// Name of the ConfigMap.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads it, with the cluster that it is about; empty when there is none yet.
    pub(super) async fn load(&self) -> Result<(Inventory, Option<String>), InventoryError> {
        let found = self.api.get_opt(&self.name).await.map_err(|error| self.api_error(error))?;
        let Some(mut map) = found else { return Ok((Inventory::new(), None)) };
        let cluster = map.data.as_mut().and_then(|data| data.remove(CLUSTER));
        let packed = map.binary_data.and_then(|mut data| data.remove(KEY));
        let inventory =
            packed.map_or_else(|| Ok(Inventory::new()), |packed| decode(&packed.0)).map_err(|why| self.corrupt(why))?;
        Ok((inventory, cluster))
    }

    /// Writes it.
    pub(super) async fn save(&self, inventory: &Inventory, cluster: Option<&str>) -> Result<(), InventoryError> {
        let packed = encode(inventory).map_err(|error| self.corrupt(error.to_string()))?;
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some([("app.kubernetes.io/managed-by".to_owned(), "asm-agent".to_owned())].into()),
                owner_references: Some(vec![self.owner.clone()]),
                ..ObjectMeta::default()
            },
            data: cluster.map(|cluster| [(CLUSTER.to_owned(), cluster.to_owned())].into()),
            binary_data: Some([(KEY.to_owned(), ByteString(packed))].into()),
            ..ConfigMap::default()
        };
        let params = PatchParams::apply(asm_shared::api::labels::FIELD_MANAGER).force();
        self.api.patch(&self.name, &params, &Patch::Apply(&map)).await.map_err(|error| self.api_error(error))?;
        Ok(())
    }

    fn api_error(&self, error: kube::Error) -> InventoryError {
        InventoryError::Api { name: self.name.clone(), source: error.into() }
    }

    fn corrupt(&self, why: String) -> InventoryError {
        InventoryError::Corrupt { name: self.name.clone(), why }
    }
}

fn encode(inventory: &Inventory) -> std::io::Result<Vec<u8>> {
    let mut packer = BufWriter::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let lines = inventory.iter().map(|(id, applied)| {
        let place: Place<&str> = (&id.group_kind.kind, id.namespace.as_deref(), &id.name);
        Line::<&str>(&id.group_kind.group, place, &applied.api_version, &applied.uid, applied.hash, applied.fingerprint)
    });
    serde_json::Serializer::new(&mut packer).collect_seq(lines)?;
    packer.into_inner().map_err(std::io::IntoInnerError::into_error)?.finish()
}

fn decode(packed: &[u8]) -> Result<Inventory, String> {
    let text = BufReader::new(GzDecoder::new(packed).take(MAX_UNPACKED));
    let Lines(inventory) = serde_json::from_reader(text).map_err(|error| error.to_string())?;
    Ok(inventory)
}

/// All lines, as what they stand for.
struct Lines(Inventory);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Lines;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lines of an inventory")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Lines, A::Error> {
        let mut inventory = Inventory::new();
        let mut words = Words::default();
        while let Some(line) = lines.next_element::<Line<String>>()? {
            let Line(group, (kind, namespace, name), api_version, uid, hash, fingerprint) = line;
            let group_kind = GroupKind { group: words.shared(&group), kind: words.shared(&kind) };
            let namespace = namespace.map(|namespace| words.shared(&namespace));
            let id = ObjectId { group_kind, namespace, name: name.into() };
            let api_version = words.shared(&api_version);
            inventory.insert(id, Applied { api_version, uid: uid.into(), hash, fingerprint });
        }
        Ok(Lines(inventory))
    }
}

/// Words that nearly every line has, held once.
#[derive(Default)]
struct Words(BTreeSet<Arc<str>>);

impl Words {
    fn shared(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.0.get(word) {
            return known.clone();
        }
        let word: Arc<str> = word.into();
        self.0.insert(word.clone());
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let inventory: Inventory = (0..1000)
            .map(|n| {
                let id = ObjectId::new("apps", "Deployment", (n % 2 == 0).then_some("shop"), &format!("web-{n}"));
                let fingerprint = Fingerprint { entry: n, generation: 3 };
                (
                    id,
                    Applied {
                        api_version: "apps/v1".into(),
                        uid: format!("uid-{n}").into(),
                        hash: u64::MAX - n,
                        fingerprint,
                    },
                )
            })
            .collect();
        assert_eq!(decode(&encode(&inventory).unwrap()).unwrap(), inventory);
    }

    #[test]
    fn anything_else_is_an_error_and_not_an_empty_inventory() {
        assert!(decode(b"").is_err());
        assert!(decode(b"[]").is_err());
        let mut cut = encode(&Inventory::new()).unwrap();
        cut.truncate(cut.len() - 1);
        assert!(decode(&cut).is_err());
    }
}
