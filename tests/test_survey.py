"""Plans of many plates, from a query and from a table: counts, and not times (tests/survey_bench.py has those)."""

import json

import pytest
import survey_bench
from conftest import Workflow

from bosscal import simulation

pytestmark = pytest.mark.workflow

# Jobs of a whole simulated plate: per camera exposure its simulation, four downloads and five steps, or two where no
# npz is kept; per plate the flats of four cameras and the distortion, each made and downloaded, and the plate's figure
# and small table.
OF_EXPOSURE, OF_PLATE, OF_RUN = {True: 1 + 4 + 5, False: 1 + 4 + 2}, 2 * (4 + 1) + 2, 3


@pytest.mark.slow
def test_a_plan_grows_with_camera_exposures(tmp_path):
    """Protects surveys: so many jobs for a camera exposure, a plate and a run, and not one for a fiber."""
    survey_bench.plan(tmp_path, [1, 3])
    rows = json.loads((tmp_path / "plan.json").read_text())
    assert len(rows) == 4
    for row in rows:
        expected = OF_EXPOSURE[row["npz kept"]] * row["camera exposures"] + OF_PLATE * row["plates"] + OF_RUN
        assert row["jobs"] == expected, row


@pytest.mark.slow
def test_a_query_is_recorded_and_its_record_is_the_same_targets(tmp_path):
    """Protects the list of a survey: it is looked up once, shown, and can be given as a table."""
    found = [row.plate for row in simulation.listed_plates() if row.plate.mjd == 55205 and row.quality == "good"]
    workflow = Workflow(tmp_path / "query").configure(release="sim", query={"mjd": [55205, 55205], "fibers": [1]})
    output = workflow.run("--until", "list_exposures").stdout
    (record,) = (workflow.results / "targets").glob("query-*.csv")
    assert f"bosscal: the query found {len(found)} plates: results/targets/{record.name}" in output
    planned = workflow.planned()
    assert planned["plot"] == 2 * sum(len(plate.exposures) for plate in found)
    (workflow.folder / "plates.csv").write_bytes(record.read_bytes())
    workflow.configure(release="sim", table="plates.csv")
    assert workflow.run("--until", "list_exposures").returncode == 0
    assert workflow.planned() == planned


def test_a_query_that_finds_nothing_says_so(tmp_path):
    """Protects batches without a plate: one line, and no error of ours."""
    workflow = Workflow(tmp_path).configure(release="sim", query={"plates": [3600, 3610]})
    process = workflow.run(check=False)
    assert "query: none of the 2500 plates of sim is what it asks for" in process.stdout
    assert "Traceback" not in process.stdout
