//! `crl-verify`: which certificates are revoked (protocol section 6.7).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longcable_core::options::{KeySource, RevocationList};
use longcable_core::x509::Serial;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use crate::failure::Fatal;
use crate::log::{self, Errno};

/// The most bytes of a list's file.
const SIZE_MAX: u64 = 16 << 20;

/// The lists in DER.
pub(super) type Lists = Arc<Vec<CertificateRevocationListDer<'static>>>;

/// Where revocations are found.
#[derive(Debug)]
pub(super) enum Revocation {
    None,
    Inline(Lists),
    File { path: PathBuf, read: Mutex<FileRead> },
    Directory(PathBuf),
}

/// What was read last.
#[derive(Debug)]
pub(super) struct FileRead {
    version: Version,
    lists: Lists,
}

/// A file that has the same is taken to be the same: time of the last change and size.
type Version = (i64, i64, u64);

impl Revocation {
    /// Reads what there is at the start, when it must be there.
    pub(super) fn load(option: Option<RevocationList<'_>>) -> Result<Self, Fatal> {
        let error = |problem: String| Fatal::of_option("crl-verify", problem);
        match option {
            None => Ok(Self::None),
            Some(RevocationList::List(KeySource::Inline(text))) => Ok(Self::Inline(
                parse(text.as_bytes()).map_err(|problem| error(format!("the inline list: {problem}")))?,
            )),
            Some(RevocationList::List(KeySource::File(file))) => {
                let path = PathBuf::from(file.to_string());
                let read = FileRead::load(&path).map_err(|problem| error(format!("the file '{file}': {problem}")))?;
                Ok(Self::File { path, read: Mutex::new(read) })
            }
            Some(RevocationList::Directory(directory)) => {
                let path = PathBuf::from(directory.to_string());
                let found = fs::metadata(&path).map_err(|cause| error(format!("'{directory}': {}", Errno(&cause))))?;
                match found.is_dir() {
                    true => Ok(Self::Directory(path)),
                    false => Err(error(format!("'{directory}' is no directory; leave 'dir' out if it is a list"))),
                }
            }
        }
    }

    /// The lists in force. A file is read again if it has changed; if it cannot be, the old lists stay.
    pub(super) fn lists(&self) -> Lists {
        match self {
            Self::None | Self::Directory(_) => Lists::default(),
            Self::Inline(lists) => lists.clone(),
            Self::File { path, read } => {
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                match read.reload(path) {
                    Ok(()) => {}
                    Err(problem) => log::warning(format_args!(
                        "WARNING: option 'crl-verify': the file '{}': {problem}; the list that was read before stays",
                        path.display()
                    )),
                }
                read.lists.clone()
            }
        }
    }

    /// Whether the directory has a file for this serial number.
    ///
    /// # Errors
    /// The directory cannot be looked into (any more): nobody can say then who is revoked.
    pub(super) fn is_in_directory(&self, serial: Serial<'_>) -> io::Result<bool> {
        match self {
            Self::Directory(directory) => {
                fs::read_dir(directory)?;
                // A number too long to be shown is no name of a file.
                decimal(serial).map_or(Ok(true), |name| directory.join(name).try_exists())
            }
            _ => Ok(false),
        }
    }
}

/// A serial number in decimal.
pub(super) fn decimal(serial: Serial<'_>) -> Option<String> {
    let mut text = String::new();
    std::fmt::write(&mut text, format_args!("{serial}")).ok()?;
    Some(text)
}

impl FileRead {
    fn load(path: &Path) -> Result<Self, String> {
        let open = || -> io::Result<_> {
            let file = File::open(path)?;
            let version = version(&file.metadata()?);
            let mut text = Vec::new();
            file.take(SIZE_MAX).read_to_end(&mut text)?;
            Ok((version, text))
        };
        let (version, text) = open().map_err(|error| Errno(&error).to_string())?;
        Ok(Self { version, lists: parse(&text)? })
    }

    fn reload(&mut self, path: &Path) -> Result<(), String> {
        let metadata = fs::metadata(path).map_err(|error| Errno(&error).to_string())?;
        if version(&metadata) != self.version {
            *self = Self::load(path)?;
        }
        Ok(())
    }
}

fn version(metadata: &fs::Metadata) -> Version {
    (metadata.mtime(), metadata.mtime_nsec(), metadata.size())
}

fn parse(text: &[u8]) -> Result<Lists, String> {
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is damaged: {error}"))?;
    match lists.is_empty() {
        true => Err("there is no list in it; it needs '-----BEGIN X509 CRL-----' (PEM)".to_owned()),
        false => Ok(Arc::new(lists)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use longcable_core::options::Word;

    const LIST: &str = "-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n";

    #[test]
    fn the_file_must_be_there_at_the_start_and_is_read_again_when_it_changes() {
        let directory = TempDir::new();
        let path = directory.path().join("crl.pem");
        let name = path.to_str().unwrap().to_owned();
        let load = || Revocation::load(Some(RevocationList::List(KeySource::File(Word::literal(&name)))));
        let error = load().unwrap_err().to_string();
        assert!(error.ends_with("No such file or directory (errno=2)"), "{error}");
        fs::write(&path, "rubbish").unwrap();
        assert!(load().unwrap_err().to_string().contains("BEGIN X509 CRL"));
        fs::write(&path, LIST).unwrap();
        let revocation = load().unwrap();
        assert_eq!(revocation.lists().len(), 1);
        fs::write(&path, LIST.repeat(2)).unwrap();
        assert_eq!(revocation.lists().len(), 2);
        // Damaged or gone: the old ones stay.
        fs::write(&path, "rubbish").unwrap();
        assert_eq!(revocation.lists().len(), 2);
        fs::remove_file(&path).unwrap();
        assert_eq!(revocation.lists().len(), 2);
        fs::write(&path, LIST.repeat(3)).unwrap();
        assert_eq!(revocation.lists().len(), 3);
    }

    #[test]
    fn a_directory_is_one() {
        let directory = TempDir::new();
        let file = directory.script("file", "");
        for path in [file, directory.path().join("none")] {
            let option = RevocationList::Directory(Word::literal(path.to_str().unwrap()));
            assert!(Revocation::load(Some(option)).is_err());
        }
    }
}
