//! Sealing of everything personal, and the keyed hashes that find a person without naming one.
//!
//! A sealed value is `version ‖ key id ‖ nonce ‖ ciphertext and tag`, AES-256-GCM, long ones packed first; table, column and row
//! key are authenticated with it, so that a value moved elsewhere does not open. Each person has a data
//! key of their own, wrapped by the key file: what is sealed under it is lost with that one row. (Messages that came
//! before two people were joined stay under the key of the one who was.) Look-ups go by HMAC-SHA-256: of people under a
//! second key derived from the key file, of messages and visits under one of the store's own.

use std::cell::RefCell;
use std::fmt;

use aes_gcm::aead::Nonce;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use hmac::{Hmac, Mac};
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use super::key_file::KeyError;

/// First byte of every sealed value: as it was, or packed by LZ4 before sealing. Documents are names and
/// figures in rows that look alike; packed they are a fraction, and so is the log.
const SEALED_PLAIN: u8 = 1;
const SEALED_PACKED: u8 = 2;
/// Below this packing saves nothing.
const PACKED_BYTES_MIN: usize = 256;
const KEY_ID_BYTES: usize = 6;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
pub const KEY_BYTES: usize = 32;
/// Bytes kept of a look-up hash: 128 bits, so that no two of 10^9 people meet.
pub const LOOK_UP_BYTES: usize = 16;

/// Names a key; stands in clear in the key file, in the store and in messages to people.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; KEY_ID_BYTES]);

impl KeyId {
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a sealed value stands; it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'static str,
    pub column: &'static str,
    pub row: &'a [u8],
}

/// A value that does not open: another key, another place, or damage. It says nothing more on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open")]
pub struct SealError;

/// What the key file holds, ready for use: it wraps data keys and makes look-up hashes.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    wrapping: Aes256Gcm,
    look_up: LookUp,
    look_up_key: Zeroizing<[u8; KEY_BYTES]>,
    link_key: Zeroizing<[u8; KEY_BYTES]>,
}

/// Makes keyed hashes, by which things are found that are not to be read.
#[derive(Clone)]
pub struct LookUp(Hmac<Sha256>);

impl LookUp {
    pub(super) fn under(key: &[u8; KEY_BYTES]) -> Self {
        Self(keyed(key))
    }

    /// A keyed hash of `parts`; the parts' bounds count, so `("ab", "c")` is not `("a", "bc")`.
    pub fn hash(&self, kind: &'static str, parts: &[&[u8]]) -> [u8; LOOK_UP_BYTES] {
        let mut mac = self.0.clone();
        for part in std::iter::once(&kind.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        let mut hash = [0; LOOK_UP_BYTES];
        hash.copy_from_slice(&full[..LOOK_UP_BYTES]);
        hash
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    /// A key that is written nowhere and gone with the process: for stores in memory.
    pub fn ephemeral() -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        let mut id = [0; KEY_ID_BYTES];
        random(secret.as_mut_slice()).and_then(|()| random(&mut id)).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::derive(KeyId(id), &secret))
    }

    pub(super) fn derive(id: KeyId, secret: &[u8; KEY_BYTES]) -> Self {
        let mut wrapping_key = derived(secret, b"yizhan wrapping key 1");
        let look_up_key = Zeroizing::new(derived(secret, b"yizhan look-up key 1"));
        let link_key = Zeroizing::new(derived(secret, b"yizhan link key 1"));
        let wrapping = Aes256Gcm::new((&wrapping_key).into());
        wrapping_key.zeroize();
        Self { id, wrapping, look_up: LookUp::under(&look_up_key), look_up_key, link_key }
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// See [`LookUp::hash`].
    pub fn look_up(&self, kind: &'static str, parts: &[&[u8]]) -> [u8; LOOK_UP_BYTES] {
        self.look_up.hash(kind, parts)
    }

    pub(super) fn look_up_key(&self) -> &[u8; KEY_BYTES] {
        &self.look_up_key
    }

    /// What links to printed bills are signed by; every gateway under one key file has the same.
    pub fn link_key(&self) -> &[u8; KEY_BYTES] {
        &self.link_key
    }

    /// A new data key for a person, and the same key wrapped for the store.
    pub fn new_data_key(&self, person: Uuid) -> Result<(DataKey, Vec<u8>), SealError> {
        let mut secret = Zeroizing::new([0_u8; KEY_BYTES]);
        random(secret.as_mut_slice())?;
        let wrapped = seal(&self.wrapping, self.id, wrapped_place(&person), secret.as_slice())?;
        Ok((self.data_key(&secret), wrapped))
    }

    pub fn unwrap_data_key(&self, person: Uuid, wrapped: &[u8]) -> Result<DataKey, SealError> {
        let secret = Zeroizing::new(open(&self.wrapping, wrapped_place(&person), wrapped)?);
        let secret = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(secret.as_slice()).map_err(|_| SealError)?);
        Ok(self.data_key(&secret))
    }

    fn data_key(&self, secret: &[u8; KEY_BYTES]) -> DataKey {
        DataKey { wrapped_by: self.id, cipher: Aes256Gcm::new(secret.into()) }
    }
}

fn wrapped_place(person: &Uuid) -> Place<'_> {
    Place { table: "person", column: "wrapped_key", row: person.as_bytes() }
}

/// Seals and opens what belongs to one person.
#[derive(Clone)]
pub struct DataKey {
    wrapped_by: KeyId,
    cipher: Aes256Gcm,
}

impl DataKey {
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        seal(&self.cipher, self.wrapped_by, place, plain)
    }

    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        open(&self.cipher, place, sealed)
    }
}

/// The id of the key a sealed value was made under.
pub fn key_id_of(sealed: &[u8]) -> Option<KeyId> {
    sealed.get(1..=KEY_ID_BYTES).and_then(KeyId::from_bytes)
}

fn seal(cipher: &Aes256Gcm, id: KeyId, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let packed = if plain.len() < PACKED_BYTES_MIN { Vec::new() } else { compress_prepend_size(plain) };
    let (version, plain) = if packed.is_empty() || packed.len() >= plain.len() {
        (SEALED_PLAIN, plain)
    } else {
        (SEALED_PACKED, &*packed)
    };
    let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + TAG_BYTES);
    sealed.push(version);
    sealed.extend_from_slice(&id.0);
    let mut nonce = [0; NONCE_BYTES];
    random(&mut nonce)?;
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let aad = associated(place, &sealed[..HEADER_BYTES]);
    let nonce = Nonce::<Aes256Gcm>::from(nonce);
    let tag = cipher
        .encrypt_inout_detached(&nonce, &aad, (&mut sealed[HEADER_BYTES..]).into())
        .map_err(|_| SealError)?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

fn open(cipher: &Aes256Gcm, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(SealError)?;
    let (text, tag) =
        rest.len().checked_sub(TAG_BYTES).and_then(|at| rest.split_at_checked(at)).ok_or(SealError)?;
    let (&version, id_and_nonce) = header.split_first().ok_or(SealError)?;
    if ![SEALED_PLAIN, SEALED_PACKED].contains(&version) {
        return Err(SealError);
    }
    let nonce = Nonce::<Aes256Gcm>::try_from(&id_and_nonce[KEY_ID_BYTES..]).map_err(|_| SealError)?;
    let tag = aes_gcm::Tag::try_from(tag).map_err(|_| SealError)?;
    let mut plain = text.to_vec();
    cipher
        .decrypt_inout_detached(&nonce, &associated(place, header), plain.as_mut_slice().into(), &tag)
        .map_err(|_| SealError)?;
    if version == SEALED_PACKED {
        // Authentic bytes say their own true size: no stranger decides how much memory this takes.
        return decompress_size_prepended(&plain).map_err(|_| SealError);
    }
    Ok(plain)
}

fn associated(place: Place<'_>, header: &[u8]) -> Vec<u8> {
    let mut aad = Vec::with_capacity(96);
    for part in [place.table.as_bytes(), place.column.as_bytes(), place.row] {
        aad.extend_from_slice(&(part.len() as u32).to_be_bytes());
        aad.extend_from_slice(part);
    }
    aad.extend_from_slice(header);
    aad
}

fn keyed(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::KeyInit>::new(&padded(key).into())
}

/// A key shorter than the hash's block is padded with zeros (RFC 2104 §2).
fn padded(key: &[u8; KEY_BYTES]) -> [u8; 64] {
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    block
}

fn derived(secret: &[u8; KEY_BYTES], purpose: &[u8]) -> [u8; KEY_BYTES] {
    let mut mac = keyed(secret);
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}

/// Random bytes of the operating system, fetched by the page: an import seals millions of values.
pub(crate) fn random(wanted: &mut [u8]) -> Result<(), SealError> {
    const PAGE_BYTES: usize = 4096;
    thread_local! {
        static PAGE: RefCell<(Zeroizing<[u8; PAGE_BYTES]>, usize)> = RefCell::new((Zeroizing::new([0; PAGE_BYTES]), PAGE_BYTES));
    }
    PAGE.with_borrow_mut(|(page, used)| {
        for chunk in wanted.chunks_mut(PAGE_BYTES) {
            if *used + chunk.len() > PAGE_BYTES {
                getrandom::fill(page.as_mut_slice()).map_err(|_| SealError)?;
                *used = 0;
            }
            let taken = &mut page[*used..*used + chunk.len()];
            chunk.copy_from_slice(taken);
            // What was handed out must not be found in memory again.
            taken.fill(0);
            *used += chunk.len();
        }
        Ok(())
    })
}
