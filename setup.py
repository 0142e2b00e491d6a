"""Undertone's package metadata: two programs and the models, from one source tree.

``package_dir`` maps a top-level name to each folder, so that both a plain and an editable install
work.  Without extras only what the device needs is installed.
"""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup

# pip checks python_requires last, after a long search that ends with another error
if not (3, 11) <= sys.version_info < (3, 14):
    found = "{}.{}".format(*sys.version_info)
    sys.exit(f"Undertone needs Python 3.11, 3.12 or 3.13, and this is Python {found}.")

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "device/undertone/__init__.py").read_text(), re.M
).group(1)

REPOSITORY = "https://github.com/undertone/undertone"


def package_index_readme() -> str:
    """The README with absolute links: a package index has no other files of the repository."""
    text = (ROOT / "README.md").read_text()
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{REPOSITORY}/raw/HEAD/", text)
    return re.sub(r"(?<!!)(\[[^\]!]*\]\()(?!https?:|#)", rf"\g<1>{REPOSITORY}/blob/HEAD/", text)


DEVICE = [
    # tflite-runtime supports CPython up to 3.11 and NumPy 1; LiteRT is used from 3.12 on.
    'tflite-runtime==2.14.0; python_version < "3.12"',
    'numpy>=1.26,<2; python_version < "3.12"',
    'ai-edge-litert>=2.1,<3; python_version >= "3.12"',
    'numpy>=1.26,<3; python_version >= "3.12"',
    "python_speech_features==0.6",  # the MFCC; imports scipy without declaring it
    "scipy>=1.11,<2",
    "sounddevice>=0.5,<0.6",  # microphone (PortAudio)
    "soundfile>=0.12,<0.15",  # audio files (libsndfile)
    "soxr>=0.4,<2",  # streaming resampler
    "msgspec>=0.19,<1",  # strict validation of manifests and recipes
    "click>=8.4,<9",  # command line
    "rich>=13,<16",  # live view and tables
    "platformdirs>=4,<5",  # folders of state and configuration
]
EXTRAS = {
    "litert": ["ai-edge-litert>=2.1,<3"],
    "parquet": ["pyarrow>=15,<25"],  # journal export; 25 and later break with NumPy 1
    "web": [
        "streamlit>=1.67,<1.70",  # its ASGI application, and a little of what is below it
        "pyarrow>=15,<25",  # Streamlit's charts; 25 and later break with NumPy 1
    ],
    "formats": ["av>=16,<19"],  # FFmpeg: files, streams; from 16 on certificates are checked
    "publish": ["paho-mqtt>=2.1,<3"],  # MQTT; 2.0 changed the callbacks
    "apprise": ["apprise>=1.9,<3"],  # alerts to phones, mail and chats
    "training": [
        "tensorflow>=2.21,<2.22",  # Keras 3 and the converter
        'ai-edge-litert>=2.1,<3; python_version < "3.12"',
        "audiomentations>=0.43,<0.44",  # waveform augmentation
        "pyroomacoustics>=0.8,<0.11",  # rooms to augment with
        "scikit-learn>=1.4,<2",  # figures, splits
        "threadpoolctl>=3.1,<4",  # one thread of linear algebra in each of many processes
        "matplotlib>=3.8,<4",
        "jinja2>=3.1,<4",  # report pages and model cards from templates
        "pandas>=2.2,<4",
        "pyarrow>=15,<25",  # features on disk, mapped into memory; 25 and later break with NumPy 1
        "requests>=2.31,<3",  # downloads that go on where they stopped
        "optuna>=5,<6",  # the search for recipes
        "tomli-w>=1.1,<2",  # writes recipes; the standard library only reads TOML
    ],
    "cluster": [
        "distributed>=2026.3",  # Dask: jobs on many machines; its versions are dates
        "fsspec>=2026.2",  # object storage; Dask brings it as well
        "psycopg[binary]>=3.2,<4",  # a search on many machines, in PostgreSQL
    ],
    # features of the reference systems; named here, though audiomentations brings it as well
    "reference": ["librosa>=0.11,<0.12"],
    "test": [
        "playwright>=1.50,<2",  # Debian's chromium is the browser
        "pytest>=8,<9.2",  # pytest-xdist 3.8 ignores xdist_group with 9.2 (its issue 1386)
        "pytest-xdist>=3.5,<4",
        "hypothesis>=6.100,<7",
        "pyarrow>=15,<25",
        "distributed>=2026.3",
        "fsspec>=2026.2",
        "s3fs>=2026.2",  # a bucket, of the server in moto
        "moto[s3]>=5,<6",
        "flask-cors>=5,<7",  # what moto needs to be a server; moto[server] has much more
        "psycopg[binary]>=3.2,<4",
        "jsonschema>=4.20,<5",  # the benchmark's JSON against its schema
        "ruff>=0.17,<0.18",
        "mypy>=1.18,<3",
        "nbclient>=0.10,<1",  # executes the notebook
        "nbformat>=5.10,<6",
        "ipykernel>=6.29,<8",  # what executes in it
        "build>=1.2,<2",
        "setuptools>=77",
        "wheel",
    ],
}

setup(
    name="undertone",
    version=VERSION,
    description="Speech emotions on a Raspberry Pi: an int8 MFCC CNN that listens and logs",
    long_description=package_index_readme(),
    long_description_content_type="text/markdown",
    url=REPOSITORY,
    project_urls={
        "Documentation": f"{REPOSITORY}/tree/HEAD/docs",
        "Changelog": f"{REPOSITORY}/blob/HEAD/CHANGELOG.md",
        "Issues": f"{REPOSITORY}/issues",
    },
    keywords=["speech emotion recognition", "raspberry pi", "tflite", "mfcc", "audio"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: Web Environment",
        "Intended Audience :: Science/Research",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    license="MIT AND CC-BY-NC-SA-4.0",  # the code; the weights and the samples
    license_files=["LICENSE", "models/LICENSE.txt"],
    python_requires=">=3.11,<3.14",
    packages=[
        *find_packages("device", include=["undertone", "undertone.*"]),
        *find_packages("training", include=["undertone_training", "undertone_training.*"]),
        "undertone_models",
    ],
    package_dir={
        "undertone": "device/undertone",
        "undertone_training": "training/undertone_training",
        "undertone_models": "models",
    },
    package_data={
        "undertone": ["py.typed", "samples/*"],
        "undertone_training": [
            "py.typed",
            "recipes/*.toml",
            "spaces/*.toml",
            "report/templates/*",
            "detector/*",
        ],
        # the web page shows one picture of the report; the rest stays in the repository
        "undertone_models": ["LICENSE.txt", "*/*", "*/report/confusion-int8.png"],
    },
    exclude_package_data={"undertone_models": ["__pycache__/*"]},
    install_requires=DEVICE,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "undertone = undertone.cli:main",
            "undertone-train = undertone_training.cli:main",
        ]
    },
)
