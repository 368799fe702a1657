"""From a picture and a prompt to an answer, as the published implementation computes it on a model of width 64."""

import json
from pathlib import Path

import fake_language
import pytest
import torch
from golden.recipe import picture
from numpy.testing import assert_allclose, assert_array_equal

from framework.data import crops
from framework.models.onevision.conversion import convert
from framework.models.onevision.layout import Layout
from framework.models.onevision.modeling import AnomalyOV

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "published.json").read_text())
CASES = range(len(GOLDEN["cases"]))
PICTURE, END = 69990, 69999  # ids, of the vocabulary of 70,000 of the published numbers


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    tensors = fake_language.state(fake_language.names(**fake_language.GOLDEN))
    source = fake_language.write(folder / "published", tensors, tokenizer=False, image_token_index=PICTURE)
    convert(source, folder / "ours")
    return AnomalyOV.from_pretrained(folder / "ours").eval()


@pytest.fixture(scope="module")
def encoded(model):
    """Each picture encoded once, with what the tower gave for it."""
    found = []
    for case in GOLDEN["cases"]:
        states = []
        hook = model.model.vision_tower.register_forward_hook(lambda *a, s=states: s.append(a[-1].hidden_states))
        view = picture(case["seed"], case["width"], case["height"])
        pixels, sizes = torch.from_numpy(crops.cut(view, 384, "anyres")), torch.tensor([view.shape[1:]])
        with torch.no_grad():
            found.append((model.model.get_image_features(pixels, sizes), states[0]))
        hook.remove()
    return found


def prompt(case, around):
    """Token ids with the picture token as often as the picture of a case needs."""
    known = GOLDEN["cases"][case]
    tokens = Layout(384, 27, 6).tokens(known["height"], known["width"], several=False)
    return [i for token in around for i in ([PICTURE] * tokens if token == "<image>" else [token])]


def embeddings(model, ids, image):
    found = model.get_input_embeddings()(ids).clone()
    found[ids == PICTURE] = torch.cat(image.pooler_output)
    return found


def close(found, wanted, relative):
    """Equal but for a share of the largest number."""
    wanted = torch.tensor(wanted)
    assert_allclose(found.detach(), wanted, rtol=0, atol=relative * wanted.abs().max().item())


@pytest.mark.parametrize("case", CASES)
def test_the_tower_and_the_expert_give_the_published_numbers(case, encoded):
    known, (image, states) = GOLDEN["cases"][case], encoded[case]
    close(torch.stack([states[i][:, ::243, ::16] for i in (7, 13, 19, 25)]), known["levels[:, :, ::243, ::16]"], 1e-4)
    close(states[26][:, ::243, ::16], known["final[:, ::243, ::16]"], 1e-4)
    close(image.verdict.maps[:, ::9, ::9], known["map[:, ::9, ::9]"], 1e-4)
    close(image.verdict.maps.mean((1, 2)), known["s"], 1e-5)
    close(image.verdict.tokens[:, :, ::16], known["local[:, :, ::16]"], 1e-4)
    close(image.verdict.summary[:, ::4], known["global[:, ::4]"], 1e-4)
    assert_allclose(image.verdict.logits.sigmoid(), known["score"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_only_the_states_that_are_read_are_kept(case, encoded):
    _, states = encoded[case]
    assert [i for i, s in enumerate(states) if s is not None] == [7, 13, 19, 25, 26] and len(states) == 27


@pytest.mark.parametrize("case", CASES)
def test_the_language_model_reads_and_says_what_the_published_one_does(case, model, encoded):
    known, image = GOLDEN["cases"][case], encoded[case][0]
    ids = torch.tensor([prompt(case, GOLDEN["prompt"])])
    with torch.no_grad():
        read = embeddings(model, ids, image)[0]
        said = model(input_ids=ids, mm_encoder_outputs={"image": image}).logits[0, -1]
    assert_allclose(read[::37, ::8].detach(), known["embeddings[::37, ::8]"], rtol=0, atol=1e-4)
    assert_allclose(read[-40:, ::8].detach(), known["embeddings[-40:, ::8]"], rtol=0, atol=1e-4)
    assert_allclose(said[::500], known["last logits[::500]"], rtol=0, atol=1e-4)
    assert said.argmax() == known["next token"]


def test_the_answer_is_the_published_one(model, encoded):
    ids = torch.tensor([prompt(1, GOLDEN["prompt"])])
    given = {"mm_encoder_outputs": {"image": encoded[1][0]}, "attention_mask": torch.ones_like(ids)}
    said = model.generate(ids, **given, max_new_tokens=8, do_sample=False, eos_token_id=END, pad_token_id=END)
    assert said[0, ids.shape[1] :].tolist() == GOLDEN["generated for case 1"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_has_the_published_lengths_and_the_logits_of_each_alone(side, model, encoded):
    prompts = [prompt(case, [11, "<image>", 44, 55]) for case in CASES]
    longest = max(map(len, prompts))
    ids, mask = torch.full((2, longest), END), torch.zeros(2, longest, dtype=torch.long)
    for i, p in enumerate(prompts):
        here = slice(longest - len(p), None) if side == "left" else slice(len(p))
        ids[i, here], mask[i, here] = torch.tensor(p), 1
    assert_array_equal(mask.sum(1), GOLDEN["tokens in a batch"])
    pixels = [crops.cut(picture(c["seed"], c["width"], c["height"]), 384, "anyres") for c in GOLDEN["cases"]]
    sizes = torch.tensor([[c["height"], c["width"]] for c in GOLDEN["cases"]])
    with torch.no_grad():
        last = mask.cumsum(1).argmax(1)  # of each prompt
        pixel_values = torch.cat([torch.from_numpy(p) for p in pixels])
        found = model.model(input_ids=ids, attention_mask=mask, pixel_values=pixel_values, image_sizes=sizes)
        together = model.lm_head(found.last_hidden_state[[0, 1], last])
        for i in CASES:
            alone = model(
                input_ids=torch.tensor([prompts[i]]), mm_encoder_outputs={"image": encoded[i][0]}, logits_to_keep=1
            )
            assert_allclose(together[i], alone.logits[0, -1], rtol=0, atol=1e-4)
