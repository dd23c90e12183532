//! The table of datasets that can be fetched.

use std::path::PathBuf;

use sweep_core::recipe::Source;

/// A published dataset.
#[derive(Debug, Clone)]
pub struct Published {
    /// Value of `set:` in a sweep file.
    pub name: &'static str,
    /// Converts the folder to a data source.
    pub source: fn(PathBuf) -> Source,
    /// A short description of the contents.
    pub about: &'static str,
    /// Number of training images and of test images.
    pub images: (u64, u64),
    /// Name of the folder that the dataset is stored in.
    pub folder: &'static str,
    /// Base URLs of the downloads, in order of preference. Each ends in a slash.
    pub places: &'static [&'static str],
    /// The files to download. All of them are needed.
    pub downloads: &'static [Download],
    /// The files to extract from the single download, a tar.gz. Empty if the downloads are stored unchanged.
    pub members: &'static [&'static str],
    /// The license terms of the dataset's authors.
    pub license: &'static str,
    /// The publication to cite.
    pub citation: &'static str,
}

/// A file as it is published.
#[derive(Debug, Clone)]
pub struct Download {
    /// File name on disk and in the URL.
    pub name: &'static str,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 checksum in hexadecimal.
    pub sha256: &'static str,
}

const fn download(name: &'static str, size: u64, sha256: &'static str) -> Download {
    Download { name, size, sha256 }
}

/// All published datasets. The sizes and SHA-256 checksums are those of TensorFlow Datasets, from the file named next
/// to each (<https://github.com/tensorflow/datasets/tree/master/tensorflow_datasets/url_checksums>).
pub static CATALOG: [Published; 4] = [
    Published {
        name: "cifar10",
        source: |path| Source::Cifar10 { path },
        about: "photos of 10 classes of objects, 3x32x32",
        images: (50_000, 10_000),
        folder: "cifar-10-batches-bin",
        places: &["https://www.cs.toronto.edu/~kriz/"],
        downloads: &[
            // url_checksums/cifar10.txt
            download(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ],
        members: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
            "test_batch.bin",
        ],
        license: "none stated; the authors ask to be cited",
        citation: "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    },
    Published {
        name: "cifar100",
        source: |path| Source::Cifar100 { path },
        about: "photos of 100 classes of objects, 3x32x32",
        images: (50_000, 10_000),
        folder: "cifar-100-binary",
        places: &["https://www.cs.toronto.edu/~kriz/"],
        downloads: &[
            // url_checksums/cifar100.txt
            download(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
        ],
        members: &["train.bin", "test.bin", "fine_label_names.txt"],
        license: "none stated; the authors ask to be cited",
        citation: "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    },
    Published {
        name: "mnist",
        source: |path| Source::Mnist { path },
        about: "handwritten digits, 1x28x28",
        images: (60_000, 10_000),
        folder: "mnist",
        places: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        downloads: &[
            // url_checksums/mnist.txt
            download(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            download(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            download(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            download(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
        members: &[],
        license: "CC BY-SA 3.0",
        citation: "Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST Database of Handwritten Digits",
    },
    Published {
        name: "fashion-mnist",
        source: |path| Source::FashionMnist { path },
        about: "10 classes of clothes, 1x28x28",
        images: (60_000, 10_000),
        folder: "fashion-mnist",
        // The first URL is not encrypted, which is how the dataset is published. The checksum protects the files.
        places: &[
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ],
        downloads: &[
            // url_checksums/fashion_mnist.txt
            download(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            download(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            download(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            download(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
        members: &[],
        license: "MIT",
        citation: "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv 1708.07747",
    },
];

impl Published {
    /// Returns the dataset with this name.
    pub fn named(name: &str) -> Option<&'static Published> {
        CATALOG.iter().find(|set| set.name == name)
    }

    /// Returns the number of bytes to download.
    pub fn size(&self) -> u64 {
        self.downloads.iter().map(|download| download.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for set in &CATALOG {
            assert_eq!(Published::named(set.name).map(|found| found.folder), Some(set.folder));
            assert!(set.places.iter().all(|place| place.ends_with('/') && place.starts_with("http")), "{}", set.name);
            assert!(set.members.is_empty() || set.downloads.len() == 1, "{}: members of which archive?", set.name);
            for download in set.downloads {
                let hexadecimal = download.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                assert!(hexadecimal && download.sha256.len() == 64 && download.size > 0, "{}", download.name);
                assert!(!download.name.contains(['/', '\\']), "{}", download.name);
            }
        }
    }
}
