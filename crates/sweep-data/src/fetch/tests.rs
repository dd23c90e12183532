//! Tests of fetching from a small local server that breaks connections, ignores ranges and sends wrong data.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::*;
use crate::datasets;

/// A server of files over HTTP.
struct Server {
    address: String,
    /// The offset from which each request wanted to resume.
    asked: Arc<Mutex<Vec<Option<usize>>>>,
}

/// The ways in which a server misbehaves.
#[derive(Clone, Default)]
struct Manners {
    /// Whether the server honors Range.
    ranges: bool,
    /// Number of body bytes after which the server breaks the connection, for the first request, the second, and so on.
    breaks: Vec<usize>,
}

const GOOD: Manners = Manners { ranges: true, breaks: Vec::new() };

impl Server {
    fn start(files: &[(&str, &[u8])], manners: Manners) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(name, file)| (format!("/{name}"), file.to_vec())).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        // The thread ends with the process.
        std::thread::spawn(move || {
            for (turn, stream) in listener.incoming().enumerate() {
                answer(stream.unwrap(), &files, manners.ranges, manners.breaks.get(turn).copied(), &seen);
            }
        });
        Server { address, asked }
    }

    fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    ranges: bool,
    breaks: Option<usize>,
    seen: &Mutex<Vec<Option<usize>>>,
) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head[0].split(' ').nth(1).unwrap();
    let range =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    seen.lock().unwrap().push(range);
    let Some(file) = files.get(path) else {
        write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        return;
    };
    let from = range.filter(|_| ranges).unwrap_or(0);
    let (body, whole) = (&file[from..], file.len());
    let status = match from {
        0 => "200 OK".to_owned(),
        from => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{whole}", whole - 1),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
    // The client may already have disconnected, because it reads only what it needs.
    let _ = stream.write_all(&body[..breaks.unwrap_or(body.len()).min(body.len())]);
}

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, file) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.len() as u64);
        // Builder refuses paths that lead out of the folder, which these tests also need.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, *file).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// Returns bytes that do not compress, so that an archive of them is large enough to interrupt.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let byte = |_| {
        // The linear congruential generator of Numerical Recipes, whose high bits are the good ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(byte).collect()
}

fn sum(bytes: &[u8]) -> &'static str {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().leak()
}

/// Returns a catalog entry for these downloads.
fn row(downloads: &[(&'static str, &[u8])], members: &'static [&'static str]) -> Published {
    let downloads = downloads.iter().map(|(name, file)| Download { name, size: file.len() as u64, sha256: sum(file) });
    Published {
        folder: "images",
        places: &[],
        downloads: downloads.collect::<Vec<_>>().leak(),
        members,
        ..CATALOG[0].clone()
    }
}

/// Returns an archive of two members and its catalog entry.
fn set() -> (Vec<u8>, Published) {
    let archive = packed(&[("set/a.bin", &noise(20_000)), ("set/readme.html", b"more"), ("set/b.txt", b"names\n")]);
    let row = row(&[("set.tar.gz", &archive)], &["a.bin", "b.txt"]);
    (archive, row)
}

fn fetch(set: &Published, from: &str, to: &Path) -> Result<PathBuf, Error> {
    let from = match from.starts_with("http") {
        true => Origin::Url(from.to_owned()),
        false => Origin::Disk(from.into()),
    };
    super::fetch(set, &from, to, &agent(None), &ProgressBar::hidden())
}

/// Returns the names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// Asserts that `to` contains the complete dataset and nothing else.
fn assert_whole(to: &Path) {
    assert_eq!(names(to), ["images"]);
    assert_eq!(names(&to.join("images")), ["a.bin", "b.txt"]);
    assert_eq!(fs::read(to.join("images/a.bin")).unwrap(), noise(20_000));
    assert_eq!(fs::read(to.join("images/b.txt")).unwrap(), b"names\n");
}

fn empty() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_set_is_downloaded_checked_unpacked_and_put_in_its_place() {
    let (archive, set) = set();
    let server = Server::start(&[("set.tar.gz", &archive)], GOOD);
    for url in [server.address.clone(), format!("{}set.tar.gz", server.address)] {
        let to = empty();
        assert_eq!(fetch(&set, &url, to.path()).unwrap(), to.path().join("images"));
        assert_whole(to.path());
    }
    assert_eq!(server.asked(), [None, None]);
}

#[test]
fn a_broken_connection_is_taken_up_where_it_ended() {
    let (archive, set) = set();
    let manners = Manners { ranges: true, breaks: vec![5000, 3000] };
    let server = Server::start(&[("set.tar.gz", &archive)], manners);
    let to = empty();
    fetch(&set, &server.address, to.path()).unwrap();
    assert_whole(to.path());
    assert_eq!(server.asked(), [None, Some(5000), Some(8000)]);
}

#[test]
fn a_fetch_that_was_given_up_goes_on_in_the_next() {
    let (archive, set) = set();
    let manners = Manners { ranges: true, breaks: vec![5000, 0, 0, 0] };
    let server = Server::start(&[("set.tar.gz", &archive)], manners);
    let to = empty();
    let error = fetch(&set, &server.address, to.path()).unwrap_err();
    assert_eq!(error.exit, Exit::BadData);
    let text = error.to_string();
    assert!(text.contains("set.tar.gz could not be downloaded\n") && text.contains("after the 5000 bytes"), "{text}");
    assert_eq!(names(to.path()), ["images.part"]);
    fetch(&set, &server.address, to.path()).unwrap();
    assert_whole(to.path());
    assert_eq!(server.asked(), [None, Some(5000), Some(5000), Some(5000), Some(5000)]);
}

#[test]
fn a_server_without_ranges_begins_again() {
    let (archive, set) = set();
    let manners = Manners { ranges: false, breaks: vec![5000, 6000] };
    let server = Server::start(&[("set.tar.gz", &archive)], manners);
    let to = empty();
    fetch(&set, &server.address, to.path()).unwrap();
    assert_whole(to.path());
    assert_eq!(server.asked(), [None, Some(5000), Some(6000)]);
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let (archive, set) = set();
    let server = Server::start(&[("set.tar.gz", &archive)], Manners { ranges: false, breaks: vec![5000; 100] });
    assert!(fetch(&set, &server.address, empty().path()).is_err());
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn what_is_not_what_was_published_is_removed() {
    let (archive, set) = set();
    let mut other = archive.clone();
    other[archive.len() / 2] ^= 1;
    let longer = [&archive[..], b"more"].concat();
    for (file, expected) in [
        (&other, format!("its SHA-256 is {}, but that of the published file is {}", sum(&other), sum(&archive))),
        (&longer, format!("the file there has {} bytes, but the published one has {}", longer.len(), archive.len())),
    ] {
        let to = empty();
        let server = Server::start(&[("set.tar.gz", file)], GOOD);
        let error = fetch(&set, &server.address, to.path()).unwrap_err();
        assert_eq!(error.exit, Exit::BadData);
        let error = error.to_string();
        assert!(error.contains(&expected) && error.contains(&server.address) && error.contains("hint: "), "{error}");
        assert!(names(to.path()).is_empty(), "{:?}", names(to.path()));
    }
}

#[test]
fn what_one_place_does_not_have_another_may() {
    let (archive, mut set) = set();
    let without = Server::start(&[], GOOD);
    let other = Server::start(&[("set.tar.gz", &noise(archive.len()))], GOOD);
    let with = Server::start(&[("set.tar.gz", &archive)], GOOD);
    let place = |server: &Server| -> &'static str { server.address.clone().leak() };
    set.places = vec![place(&without), place(&other), place(&with)].leak();
    let to = empty();
    super::fetch(&set, &Origin::Published, to.path(), &agent(None), &ProgressBar::hidden()).unwrap();
    assert_whole(to.path());

    let to = empty();
    let error = fetch(&set, &without.address, to.path()).unwrap_err();
    let expected = format!("{}set.tar.gz: the server responded with 404 Not Found", without.address);
    assert!(error.to_string().contains(&expected), "{error}");
    assert!(names(to.path()).is_empty(), "{:?}", names(to.path()));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let (archive, set) = set();
    let server = Server::start(&[("set.tar.gz", &archive)], GOOD);
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = fetch(&set, &server.address, &file.path().join("data")).unwrap_err();
    assert_eq!(error.exit, Exit::Storage);
    let error = error.to_string();
    assert!(error.contains("data/images.part cannot be written: ") && error.contains("--to"), "{error}");
    assert!(server.asked().is_empty(), "nothing is downloaded that cannot be kept");
}

#[test]
fn files_on_the_disk_are_checked_as_well_and_left_there() {
    let (archive, set) = set();
    let from = empty();
    let file = from.path().join("set.tar.gz");
    fs::write(&file, &archive).unwrap();
    for place in [&file, from.path()] {
        let to = empty();
        fetch(&set, place.to_str().unwrap(), to.path()).unwrap();
        assert_whole(to.path());
    }
    fs::write(&file, &archive[1..]).unwrap();
    let error = fetch(&set, file.to_str().unwrap(), empty().path()).unwrap_err().to_string();
    assert!(error.contains(&format!("set.tar.gz: has {} bytes, but", archive.len() - 1)), "{error}");
    let error = fetch(&set, "/no/such/file", empty().path()).unwrap_err().to_string();
    assert!(error.contains("/no/such/file: cannot be read"), "{error}");
}

#[test]
fn a_set_of_several_files_is_kept_as_it_comes() {
    let files: [(&str, &[u8]); 2] = [("x.gz", b"images"), ("y.gz", b"labels")];
    let set = row(&files, &[]);
    let server = Server::start(&files, GOOD);
    let to = empty();
    let folder = fetch(&set, &server.address, to.path()).unwrap();
    assert_eq!((names(to.path()), names(&folder)), (vec!["images".to_owned()], vec!["x.gz".into(), "y.gz".into()]));
    assert_eq!(fs::read(folder.join("y.gz")).unwrap(), b"labels");

    let again = empty();
    fetch(&set, folder.to_str().unwrap(), again.path()).unwrap();
    assert_eq!(fs::read(again.path().join("images/x.gz")).unwrap(), b"images");
    for one in [format!("{}x.gz", server.address), folder.join("x.gz").display().to_string()] {
        let error = fetch(&set, &one, again.path()).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.to_string().contains("has 2 files"), "{error}");
    }
}

#[test]
fn downloads_that_came_are_not_fetched_again() {
    let files: [(&str, &[u8]); 2] = [("x.gz", b"images"), ("y.gz", b"labels")];
    let set = row(&files, &[]);
    let to = empty();
    let half = Server::start(&files, Manners { ranges: true, breaks: vec![8, 3, 0, 0, 0] });
    assert!(fetch(&set, &half.address, to.path()).is_err());
    let server = Server::start(&files, GOOD);
    fetch(&set, &server.address, to.path()).unwrap();
    assert_eq!(server.asked(), [Some(3)], "of the labels only the rest is fetched, of the images nothing");
}

#[test]
fn files_of_other_names_are_left_alone_and_damaged_ones_replaced() {
    let (archive, set) = set();
    let to = empty();
    let folder = to.path().join("images");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("mine.txt"), "mine").unwrap();
    fs::write(folder.join("a.bin"), "damaged").unwrap();
    let server = Server::start(&[("set.tar.gz", &archive)], GOOD);
    fetch(&set, &server.address, to.path()).unwrap();
    assert_eq!(fs::read(folder.join("mine.txt")).unwrap(), b"mine");
    fs::remove_file(folder.join("mine.txt")).unwrap();
    assert_whole(to.path());
}

#[test]
fn two_fetches_of_a_set_do_not_mix() {
    let (archive, set) = set();
    let to = empty();
    let part = to.path().join("images.part");
    fs::create_dir(&part).unwrap();
    let first = Lock::take(&part).unwrap();
    let server = Server::start(&[("set.tar.gz", &archive)], GOOD);
    let error = fetch(&set, &server.address, to.path()).unwrap_err().to_string();
    assert!(error.contains("another `sweep data fetch` is running there"), "{error}");
    first.release(&part);
    fetch(&set, &server.address, to.path()).unwrap();
    assert_whole(to.path());
}

#[test]
fn an_archive_cannot_reach_out_of_its_folder_nor_leave_half_of_itself() {
    let mut links = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    links.append_link(&mut header, "set/a.bin", "/etc/passwd").unwrap();
    let links = links.into_inner().unwrap().finish().unwrap();
    let whole = packed(&[("set/a.bin", b"a"), ("set/b.txt", b"b")]);
    let cases = [
        (packed(&[("set/b.txt", b"b"), ("../a.bin", b"a")]), "has no a.bin"),
        (packed(&[("set/b.txt", b"b"), ("/a.bin", b"a")]), "has no a.bin"),
        (packed(&[("set/b.txt", b"b")]), "has no a.bin"),
        (links, "has no a.bin, b.txt"),
        (packed(&[("set/a.bin", b"a"), ("set/b.txt", b"b"), ("b.txt", b"c")]), "contains b.txt twice"),
        (whole[..whole.len() - 1].to_vec(), "cannot be unpacked as tar.gz"),
    ];
    for (archive, expected) in cases {
        let set = row(&[("set.tar.gz", &archive)], &["a.bin", "b.txt"]);
        let above = empty();
        let to = above.path().join("data");
        let file = above.path().join("set.tar.gz");
        fs::write(&file, &archive).unwrap();
        let error = fetch(&set, file.to_str().unwrap(), &to).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!((names(above.path()).len(), names(&to).len()), (2, 0), "{:?} {:?}", names(above.path()), names(&to));
    }
}

/// The members that the catalog lists are the files that the readers read.
#[test]
fn every_set_of_the_catalog_can_be_read_once_it_is_fetched() {
    let records = |count: usize, labels: usize| noise(count * (labels + 3072)).iter().map(|byte| byte % 10).collect();
    let idx = |axes: &[u32]| -> Vec<u8> {
        let head =
            [vec![0, 0, 8, axes.len() as u8], axes.iter().flat_map(|size| size.to_be_bytes()).collect()].concat();
        [head, vec![1; axes.iter().product::<u32>() as usize]].concat()
    };
    let contents = |name: &str| -> Vec<u8> {
        match name {
            "fine_label_names.txt" => (0..100).map(|class| format!("{class}\n")).collect::<String>().into_bytes(),
            "train.bin" => records(5, 2),
            "test.bin" => records(1, 2),
            "train-images-idx3-ubyte.gz" => idx(&[5, 28, 28]),
            "train-labels-idx1-ubyte.gz" => idx(&[5]),
            "t10k-images-idx3-ubyte.gz" => idx(&[1, 28, 28]),
            "t10k-labels-idx1-ubyte.gz" => idx(&[1]),
            _ => records(1, 1),
        }
    };
    for set in &CATALOG {
        let names = if set.members.is_empty() {
            set.downloads.iter().map(|download| download.name).collect::<Vec<_>>()
        } else {
            set.members.to_vec()
        };
        let files: Vec<(&'static str, Vec<u8>)> = names.into_iter().map(|name| (name, contents(name))).collect();
        let borrowed: Vec<(&'static str, &[u8])> = files.iter().map(|(name, file)| (*name, file.as_slice())).collect();
        let archive = packed(&borrowed);
        let downloads =
            if set.members.is_empty() { borrowed } else { vec![(set.downloads[0].name, archive.as_slice())] };
        let small = Published { downloads: row(&downloads, set.members).downloads, ..set.clone() };
        let server = Server::start(&downloads, GOOD);
        let to = empty();
        let folder = fetch(&small, &server.address, to.path()).unwrap();
        assert_eq!(folder, to.path().join(set.folder));
        let info = datasets::describe(&(set.source)(folder)).unwrap();
        assert_eq!((info.train, info.test), (5, 1), "{}", set.name);
    }
}
