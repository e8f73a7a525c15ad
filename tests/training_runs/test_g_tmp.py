# how long a preview of 64 runs takes over a data set of 3000 cases
from tests.training_runs.test_sweeps import *
import time
from annotation.models import Case
def test_x(browser, data):
    image = rows.picture("many")
    Case.objects.bulk_create(Case(dataset=data, key=f"m{n}", source=image, task_id="add", instruction=f"x {n}", split="train", params={"scene":{},"edit":{}}) for n in range(3000))
    v = ", ".join(str(n) for n in range(1, 65))
    t=time.process_time(); page = send(browser, data, "get", axis_1="lora_rank", values_1=v); print("preview", time.process_time()-t, page.status_code)
    t=time.process_time(); page = send(browser, data, axis_1="lora_rank", values_1=v); print("start", time.process_time()-t, page.status_code)
