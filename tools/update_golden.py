"""Write tests/device/recognition/golden.json again, after a bundle was promoted."""

import json
from pathlib import Path

from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify
from undertone.samples import clips


def main() -> None:
    """Classify the packaged clips with the kernels that are the same on every processor."""
    golden = {name: _outputs(name) for name in bundle.installed_bundles()}
    path = Path(__file__).parent.parent / "tests/device/recognition/golden.json"
    path.write_text(json.dumps(golden, indent=2) + "\n")


def _outputs(name: str) -> dict[str, object]:
    classifier = Classifier(bundle.load(name), reference_kernels=True)
    probabilities = {}
    for clip in clips():
        overall = classify(read_blocks(clip), classifier).overall
        assert overall is not None
        probabilities[clip.name] = {
            label: round(share, 6) for label, share in overall.scores.items()
        }
    return {
        "model_sha256": classifier.manifest.model_sha256,
        "detector_sha256": classifier.manifest.detector.model_sha256,
        "probabilities": probabilities,
    }


if __name__ == "__main__":
    main()
