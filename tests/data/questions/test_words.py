"""What stands between the pictures and a question."""

from framework.data.questions.words import captioned, what_and_where, yes_or_no


def test_a_line_a_picture_that_has_a_caption_under_its_number():
    assert captioned("Why?", ["from above", "", "from the left, below"]) == (
        "Image 1: from above.\nImage 3: from the left, below.\nWhy?"
    )
    assert captioned("Why?", []) == captioned("Why?", [""]) == "Why?"


def test_questions_are_in_the_words_of_the_domain():
    published = "Are there any defects for the object in the image? Please reply with 'Yes' or 'No'."
    assert yes_or_no("pixel", False) == published
    assert yes_or_no("point", True) == published.replace("image", "images")
    assert yes_or_no("voxel", True) == "Are there any abnormalities in the scan? Please reply with 'Yes' or 'No'."
    assert what_and_where("point", True) == "Is there anything unusual in the images? Describe what and where."
