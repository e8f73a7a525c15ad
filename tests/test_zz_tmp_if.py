from tests.test_versions_exports import *
def test_if(data, version, tmp_path):
    folder = unpacked(exported(version, "folder", ALL), tmp_path / "out")
    own = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path/"hf"), "HF_DATASETS_CACHE": str(tmp_path/"hf")}
    code="import sys,datasets; d=datasets.load_dataset('imagefolder',data_dir=sys.argv[1]); print(d); print(d['train'].features); print([ (r.get('image'), r.get('source'), r.get('mask'), r['key'], r['editor']) for r in d['train']])"
    done = subprocess.run([sys.executable,"-c",code,str(folder)], env={**os.environ, **own}, capture_output=True, text=True, cwd=tmp_path)
    print(done.stdout, done.stderr[-2500:]); assert 0
