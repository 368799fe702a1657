"""The default embedder with its real weights: the similarities that its authors print in their documentation."""

from numpy.testing import assert_allclose

from framework.metrics.text.descriptions import Embedder

SAID = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]


def test_similarities_are_those_of_the_documentation_of_sentence_transformers(weights):
    vectors = Embedder(str(weights("all-MiniLM-L6-v2"))).embed(SAID)
    wanted = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert_allclose(vectors @ vectors.T, wanted, rtol=0, atol=6e-5)
