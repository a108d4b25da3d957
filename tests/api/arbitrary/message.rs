//! Arbitrary messages: well-formed, and otherwise anything. Half of what they say makes sense, for a message that is wrong
//! everywhere tests little more than the first check. Sense is learned from what the server answers, and from requests that
//! it took: others are made by changing little of them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::PACKAGE;

/// Deeper messages are empty.
const DEPTH_MAX: usize = 8;

/// Texts that are remembered for one field, and requests for one method.
const LEARNED_MAX: usize = 64;

const SECONDS: [i64; 14] = [
    0,
    1,
    -1,
    5,
    60,
    3_600,
    86_400 * 30,
    1_763_000_000,
    // The first and last of years 1 to 9999, and one beyond each.
    -62_135_596_800,
    -62_135_596_801,
    253_402_300_799,
    253_402_300_800,
    i64::MIN,
    i64::MAX,
];
const NANOS: [i32; 10] = [0, 0, 0, 1, -1, 500_000_000, 999_999_999, 1_000_000_000, i32::MIN, i32::MAX];
const NUMBERS: [i64; 14] =
    [0, 1, 2, 3, 8, 20, 100, 1_000, -1, 1_001, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];
const REALS: [f64; 8] = [0.0, 1.5, -1.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
const TEXTS: [&str; 24] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\r\n",
    "a\r\nX-Evil: 1",
    "\u{202e}evil",
    "é",
    "\u{1f4a9}\u{0301}",
    "\u{feff}",
    "\u{10ffff}",
    "' OR 1=1 --",
    "%00%s%n",
    "${x}",
    "../../etc/passwd",
    "http://[::1",
    "https://u:p@127.0.0.1:1/#x",
    "a..b",
    "*",
    "{\"a\":",
    "-1",
    "99999999999999999999",
    "ep_00000000000000000000000000",
    "whsec_",
];
const PAYLOADS: [&[u8]; 7] =
    [b"{}", b"{\"a\": [1, 2.0, \"\\u0000\"]}", b"[]", b"", b"{", b"\xff\xfe\0", b"\"\\ud800\""];

/// Makes messages.
pub(super) struct Generator {
    random: StdRng,
    /// Texts by the name of the field that they make sense in.
    learned: BTreeMap<String, Vec<String>>,
    /// Requests that were taken, by the names of their types.
    taken: BTreeMap<String, Vec<DynamicMessage>>,
    paths: Vec<String>,
    /// An id that no message may have.
    secret: String,
}

impl Generator {
    /// Makes messages whose endpoints are at `url` and that do not know the id `secret`.
    pub(super) fn new(seed: u64, pool: &DescriptorPool, url: &str, secret: &str) -> Self {
        let mut generator = Self {
            random: StdRng::seed_from_u64(seed),
            learned: BTreeMap::new(),
            taken: BTreeMap::new(),
            paths: paths(pool),
            secret: secret.to_owned(),
        };
        // More often than not the tenant is there.
        let tenants = ["", "", "", "", "", "default", "other", "nobody"].map(|tenant| ("tenant_id", tenant));
        let others = [("url", url), ("type", "a.b"), ("type", "a.c"), ("name", "a.b"), ("content_type", "")];
        for (field, text) in tenants.into_iter().chain(others) {
            generator.learned.entry(field.to_owned()).or_default().push(text.to_owned());
        }
        generator
    }

    /// A message of this type.
    pub(super) fn request(&mut self, of: &MessageDescriptor) -> DynamicMessage {
        let taken = self.taken.get(of.full_name()).map_or(&[][..], Vec::as_slice);
        match taken.choose(&mut self.random).cloned() {
            Some(mut request) if self.random.random_bool(0.6) => {
                for _ in 0..self.one_of(&[1, 1, 1, 2, 3]) {
                    self.change(&mut request, 0);
                }
                request
            }
            _ => self.message(of, 0),
        }
    }

    /// Remembers a request that was taken, and what its answer says, if it has come.
    pub(super) fn learn(&mut self, request: DynamicMessage, answer: Option<DynamicMessage>) {
        let room = self.taken.entry(request.descriptor().full_name().to_owned()).or_default();
        if room.len() < LEARNED_MAX {
            room.push(request);
        }
        if let Some(answer) = answer {
            self.learn_message(&answer);
        }
    }

    /// Changes one field of a message, or of one within.
    fn change(&mut self, message: &mut DynamicMessage, depth: usize) {
        let of = message.descriptor();
        let fields: Vec<FieldDescriptor> = of.fields().collect();
        let Some(field) = fields.choose(&mut self.random) else { return };
        if message.has_field(field) {
            if let Some(inner) = message.get_field_mut(field).as_message_mut()
                && self.random.random_bool(0.8)
            {
                return self.change(inner, depth + 1);
            }
            if self.random.random_bool(0.2) {
                return message.clear_field(field);
            }
        }
        let value = self.field(&of, field, depth);
        message.set_field(field, value);
    }

    fn learn_message(&mut self, message: &DynamicMessage) {
        let of = message.descriptor();
        for (field, value) in message.fields() {
            self.learn_value(&of, &field, value);
        }
    }

    fn learn_value(&mut self, of: &MessageDescriptor, field: &FieldDescriptor, value: &Value) {
        match value {
            Value::String(text) if *text != self.secret && text.len() < 1_000 => {
                let room = self.learned.entry(sense(of, field)).or_default();
                if room.len() < LEARNED_MAX {
                    room.push(text.clone());
                } else {
                    let place = self.random.random_range(LEARNED_MAX / 4..LEARNED_MAX);
                    room[place].clone_from(text);
                }
            }
            Value::Message(message) => self.learn_message(message),
            Value::List(values) => values.iter().for_each(|value| self.learn_value(of, field, value)),
            _ => {}
        }
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        *choices.choose(&mut self.random).expect("there are choices")
    }

    fn message(&mut self, of: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        match of.full_name() {
            "google.protobuf.Timestamp" | "google.protobuf.Duration" => {
                message.set_field_by_name("seconds", Value::I64(self.one_of(&SECONDS)));
                message.set_field_by_name("nanos", Value::I32(self.one_of(&NANOS)));
            }
            "google.protobuf.FieldMask" => {
                let count = self.one_of(&[0, 1, 1, 2, 3, 200]);
                let paths = (0..count).map(|_| Value::String(self.path())).collect();
                message.set_field_by_name("paths", Value::List(paths));
            }
            _ if depth < DEPTH_MAX => {
                let filled = self.one_of(&[0.1, 0.3, 0.6, 0.95]);
                for field in of.fields() {
                    // What calls begin with is seldom left out.
                    let filled = if depth == 0 { f64::max(filled, 0.5) } else { filled };
                    if self.random.random_bool(filled) {
                        let value = self.field(of, &field, depth);
                        message.set_field(&field, value);
                    }
                }
            }
            _ => {}
        }
        message
    }

    fn field(&mut self, of: &MessageDescriptor, field: &FieldDescriptor, depth: usize) -> Value {
        let most: usize = match field.kind() {
            Kind::Message(_) => 70,
            _ => 1_100,
        };
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else { panic!("a map of no entries") };
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let count = self.one_of(&[0, 1, 2, most]);
            let entries: HashMap<_, _> =
                (0..count).map(|_| (self.key(of, &key), self.value(of, &value, depth))).collect();
            Value::Map(entries)
        } else if field.is_list() {
            let count = self.one_of(&[0, 1, 1, 1, 2, 2, 3, most]);
            // So many are small.
            let depth = if count == most { DEPTH_MAX } else { depth };
            Value::List((0..count).map(|_| self.value(of, field, depth)).collect())
        } else {
            self.value(of, field, depth)
        }
    }

    fn key(&mut self, of: &MessageDescriptor, field: &FieldDescriptor) -> MapKey {
        match self.value(of, field, 0) {
            Value::Bool(key) => MapKey::Bool(key),
            Value::I32(key) => MapKey::I32(key),
            Value::I64(key) => MapKey::I64(key),
            Value::U32(key) => MapKey::U32(key),
            Value::U64(key) => MapKey::U64(key),
            Value::String(key) => MapKey::String(key),
            other => panic!("{other:?} is the key of a map"),
        }
    }

    fn value(&mut self, of: &MessageDescriptor, field: &FieldDescriptor, depth: usize) -> Value {
        let number = self.one_of(&NUMBERS);
        match field.kind() {
            Kind::Double => Value::F64(self.one_of(&REALS)),
            Kind::Float => Value::F32(self.one_of(&REALS) as f32),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(number as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(number as u64),
            Kind::Bool => Value::Bool(self.random.random_bool(0.5)),
            Kind::String => Value::String(self.text(&sense(of, field))),
            Kind::Bytes => Value::Bytes(self.bytes()),
            Kind::Enum(kind) => {
                let valid: Vec<i32> = kind.values().map(|value| value.number()).collect();
                let wrong = [-1, 0, 999, i32::MIN, i32::MAX];
                let valid = if self.random.random_bool(0.8) { valid.as_slice() } else { &wrong };
                Value::EnumNumber(self.one_of(valid))
            }
            Kind::Message(kind) => Value::Message(self.message(&kind, depth + 1)),
        }
    }

    fn text(&mut self, sense: &str) -> String {
        let learned = self.learned.get(sense).map_or(&[][..], Vec::as_slice);
        let fitting = learned.choose(&mut self.random).cloned();
        match self.random.random_range(0..100) {
            0..60 => fitting.unwrap_or_else(|| "a.b".to_owned()),
            60..68 => {
                let place = self.random.random_range(0..self.learned.len());
                let others = self.learned.values().nth(place).expect("a place within");
                others.choose(&mut self.random).cloned().unwrap_or_default()
            }
            68..78 => self.mutated(fitting.unwrap_or_default()),
            _ => self.garbage(),
        }
    }

    /// Nearly that text.
    fn mutated(&mut self, text: String) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        if chars.is_empty() {
            return self.garbage();
        }
        let place = self.random.random_range(0..chars.len());
        match self.random.random_range(0..4) {
            0 => chars[place] = self.one_of(&['a', 'Z', '0', '\0', 'é', ' ', '=']),
            1 => chars.truncate(place),
            2 => chars.insert(place, self.one_of(&['a', '_', '\n', '\u{200b}'])),
            _ => chars.extend_from_within(place..),
        }
        chars.into_iter().collect()
    }

    fn garbage(&mut self) -> String {
        match self.random.random_range(0..10) {
            0..6 => self.one_of(&TEXTS).to_owned(),
            6 => (0..self.random.random_range(0..60)).map(|_| self.random.random::<char>()).collect(),
            7 => self.one_of(&["x", "é", "\0", "a."]).repeat(self.one_of(&[65, 129, 300, 1_025, 2_049])),
            8 => self.one_of(&["x", "\u{1f4a9}"]).repeat(self.one_of(&[5_000, 70_000])),
            _ => char::from(self.random.random_range(0..128_u8)).to_string(),
        }
    }

    fn bytes(&mut self) -> Bytes {
        match self.random.random_range(0..10) {
            0..8 => Bytes::from_static(self.one_of(&PAYLOADS)),
            8 => Bytes::from(vec![b' '; self.one_of(&[100, 262_144, 262_145])]),
            _ => (0..self.random.random_range(0..100)).map(|_| self.random.random::<u8>()).collect(),
        }
    }

    fn path(&mut self) -> String {
        if self.random.random_bool(0.8) {
            self.paths.choose(&mut self.random).expect("there are fields").clone()
        } else {
            self.garbage()
        }
    }
}

/// What the texts of a field mean: the ids of endpoints are the same thing in `Endpoint.id`, `endpoint_id` and
/// `endpoint_ids`, and a page token is one before and after.
fn sense(of: &MessageDescriptor, field: &FieldDescriptor) -> String {
    let name = field.name().trim_start_matches("next_");
    if name == "id" {
        return format!("{}_id", of.name().to_lowercase());
    }
    if field.is_list() { name.trim_end_matches('s').to_owned() } else { name.to_owned() }
}

/// Fields, and fields of fields, as masks name them.
fn paths(pool: &DescriptorPool) -> Vec<String> {
    let mut paths = Vec::new();
    for message in pool.all_messages().filter(|message| message.package_name() == PACKAGE) {
        for field in message.fields() {
            paths.push(field.name().to_owned());
            if let Kind::Message(inner) = field.kind() {
                paths.extend(inner.fields().map(|inner| format!("{}.{}", field.name(), inner.name())));
            }
        }
    }
    paths
}
