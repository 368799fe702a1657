"""A set in which every picture is anomalous, from index to rows."""

import fake_medical as fake
import pyarrow.parquet as pq

from framework.cli import main


def test_a_set_of_anomalous_pictures_has_pixel_metrics_and_no_others(tmp_path):
    fake.masked(tmp_path / "set/images", tmp_path / "set/masks", "abcd")
    (tmp_path / "x.yaml").write_text(
        "name: polyps\nmodel: {backbone: {name: embedded}, crops: base, expert: {weights: embedded}}\n"
        f"test: {{p: {{domain: medical, dataset: polyps, root: {tmp_path}/set}}}}\n"
        f"out: {tmp_path}/runs\nstore: {{mode: never}}\ntrainer: {{accelerator: cpu, enable_progress_bar: false}}\n"
    )
    assert main(["test", str(tmp_path / "x.yaml")]) == 0
    (path,) = tmp_path.glob("runs/**/rows.parquet")
    found = {(row["level"], row["metric"]) for row in pq.read_table(path).to_pylist()}
    assert {metric for level, metric in found if level == "element"} >= {"auroc", "aupro"}
    assert {level for level, _ in found} == {"element"}
