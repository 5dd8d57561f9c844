import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import permutations

import numpy as np
import pytest
import torch

from vidfer.inference.models import ImageModel
from vidfer.inference.torch_networks import one_thread
from vidfer.models.backbone import build_backbone
from vidfer.models.preprocess import Preprocessing
from vidfer.types import UsageError, VidferError
from vidfer.weights.files import find_weights, save_weights


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (37, 160, 160, 3), np.uint8)


def test_folding_changes_rounding_only(image_weights, crops):
    embedding, logits = ImageModel(image_weights)(crops)
    plain = build_backbone("compact").eval()
    plain.load_state_dict(find_weights("image", image_weights).tensors())
    prepare = Preprocessing()
    with torch.no_grad():
        image = prepare(prepare.gray(torch.from_numpy(crops)))
        np.testing.assert_allclose(embedding, plain.embed(image), atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(logits, plain(image), atol=1e-4, rtol=1e-4)
    assert embedding.dtype == logits.dtype == np.float32


def test_batches_do_not_matter(image_weights, crops):
    model = ImageModel(image_weights)
    together = model(crops)[1]
    np.testing.assert_allclose(together[33:35], model(crops[33:35])[1], atol=1e-5)
    assert [part.shape for part in model(crops[:0])] == [(0, 128), (0, 7)]


def test_flipping_averages_both_sides(image_weights, crops):
    model = ImageModel(image_weights)
    faces = np.random.default_rng(1).integers(0, 256, (3, 48, 48), np.uint8)
    one, other = model.of_gray(faces)[1], model.of_gray(faces[:, :, ::-1])[1]
    np.testing.assert_allclose(model.of_gray(faces, tta="flip")[1], (one + other) / 2, atol=1e-6)
    both = (model(crops[:2])[0] + model(crops[:2, :, ::-1])[0]) / 2
    np.testing.assert_allclose(model(crops[:2], tta="flip")[0], both, atol=1e-5)


def test_ten_crops_are_the_corners_and_the_centre_and_their_mirror_images(image_weights):
    model = ImageModel(image_weights)
    faces = np.random.default_rng(2).integers(0, 256, (3, 48, 48), np.uint8)
    parts = [faces[:, :44, :44], faces[:, :44, 4:], faces[:, 4:, :44], faces[:, 4:, 4:], faces[:, 2:46, 2:46]]
    alone = [model.of_gray(view)[1] for part in parts for view in (part, part[:, :, ::-1])]
    np.testing.assert_allclose(model.of_gray(faces, tta="ten-crop")[1], np.mean(alone, 0), atol=1e-5)


def test_an_unknown_augmentation_is_no_other(image_weights, crops):
    with pytest.raises(ValueError, match="ten-crop"):
        ImageModel(image_weights)(crops[:1], tta="ten_crop")


@pytest.mark.parametrize("tta", ["none", "flip", "ten-crop"])
def test_each_head_has_its_own_logits_of_the_same_embeddings(headed_weights, crops, tta):
    tensors = find_weights("image", headed_weights).tensors()
    embedding, own = ImageModel(headed_weights)(crops[:3], tta=tta)
    np.testing.assert_array_equal(ImageModel(headed_weights, head="video")(crops[:3], tta=tta)[1], own)
    for head, name in (("video", "head"), ("fer2013", "heads.fer2013"), ("ferplus", "heads.ferplus")):
        again, logits = ImageModel(headed_weights, head=head)(crops[:3], tta=tta)
        np.testing.assert_array_equal(again, embedding)
        expected = embedding @ tensors[f"{name}.weight"].numpy().T + tensors[f"{name}.bias"].numpy()
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        assert head == "video" or np.abs(logits - own).max() > 0.01


def test_a_head_that_is_not_there_is_refused(headed_weights, image_weights):
    with pytest.raises(UsageError, match="no head 'affectnet': its heads are video, fer2013, ferplus"):
        ImageModel(headed_weights, head="affectnet")
    with pytest.raises(UsageError, match=r"no head 'ferplus': its heads are video$"):
        ImageModel(image_weights, head="ferplus")


def test_a_head_that_cannot_be_built_ends_in_a_sentence(headed_weights):
    place = headed_weights.with_suffix(".json")
    card = json.loads(place.read_text())
    place.write_text(json.dumps({**card, "arguments": {"heads": ["keys"]}}))
    with pytest.raises(VidferError, match="that this version cannot build"):
        ImageModel(headed_weights)


def test_colour_networks_at_their_own_size(tmp_path, crops):
    torch.manual_seed(0)
    network = build_backbone("test_resnet", in_chans=3)
    card = {"kind": "image", "arch": "test_resnet", "arguments": {"in_chans": 3}}
    card["preprocessing"] = Preprocessing(image_size=96, in_chans=3, mean=0.5, std=0.5).as_card()
    save_weights(tmp_path / "resnet.safetensors", network.state_dict(), card)
    embedding, logits = ImageModel(tmp_path / "resnet.safetensors")(crops[:2])
    assert embedding.shape[1] == network.head.in_features
    assert np.isfinite(logits).all()


def test_how_faces_were_denoised_in_training_is_no_matter_of_the_network(image_weights, crops):
    plain = ImageModel(image_weights)(crops[:2])[1]
    place = image_weights.with_suffix(".json")
    card = json.loads(place.read_text())
    card["preprocessing"] |= {"denoise": "auto", "denoise_threshold": 10.0, "denoise_weights": "a digest"}
    place.write_text(json.dumps(card))
    np.testing.assert_array_equal(ImageModel(image_weights)(crops[:2])[1], plain)
    card["preprocessing"]["zoom"] = 2
    place.write_text(json.dumps(card))
    with pytest.raises(VidferError, match="that this version cannot build"):
        ImageModel(image_weights)


def test_the_wrong_network_is_named(image_weights):
    weights = find_weights("image", image_weights)
    save_weights(image_weights, {"other": torch.zeros(1)}, weights.card)
    with pytest.raises(VidferError, match="does not fit"):
        ImageModel(image_weights)


def in_a_fresh_thread(function):
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(function).result()


@pytest.fixture
def three_threads():
    """Give torch three threads, here and in every Python thread to come."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("order", sorted(set(permutations("aabbcc"))))
def test_one_thread_holds_in_several_python_threads_whatever_their_order(order, three_threads):
    """A letter's first place is where its thread enters the block, its second is where it leaves."""
    with ExitStack() as stack:
        threads = {name: stack.enter_context(ThreadPoolExecutor(1)) for name in "abc"}
        blocks = {}
        for name in order:
            if name in blocks:
                block = blocks.pop(name)
                threads[name].submit(block.__exit__, None, None, None).result()
                assert threads[name].submit(torch.get_num_threads).result() == 3
            else:
                blocks[name] = one_thread()
                threads[name].submit(blocks[name].__enter__).result()
            inside = [threads[other].submit(torch.get_num_threads).result() for other in blocks]
            assert set(inside) <= {1}
            assert in_a_fresh_thread(torch.get_num_threads) == torch.get_num_threads() == 3


def test_one_thread_may_be_nested(three_threads):
    with one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_bytes_do_not_depend_on_the_number_of_cores(monkeypatch):
    faces = np.random.default_rng(0).integers(0, 256, (70, 160, 160, 3), np.uint8)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr("vidfer.pipeline.cores.busy_threads", lambda cores=cores: cores)
        found.append([array.tobytes() for array in ImageModel()(faces, tta="flip")])
    assert found[0] == found[1]


def test_a_card_can_ask_for_the_face_alone(tmp_path):
    weights = find_weights("image", "compact")
    card = {key: value for key, value in weights.card.items() if key != "graph"}
    tensors = {name: torch.from_numpy(array) for name, array in weights.arrays().items()}
    for mirrored, tta in ((True, "flip"), (False, "none")):
        path = tmp_path / f"{tta}.safetensors"
        save_weights(path, tensors, {**card, "preprocessing": {**card["preprocessing"], "mirrored": mirrored}})
        faces = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), np.uint8)
        model = ImageModel(path)
        np.testing.assert_array_equal(model(faces, tta=None)[1], model(faces, tta=tta)[1])
        assert model.tta == tta
