import wave

import pytest

from vidfer.cli.main import main


@pytest.mark.parametrize(
    ("seconds", "target", "found", "exit_status"),
    [(1.0, "audio", "silent", 0), (0.05, "audio", "too_short", 0), (1.0, "faces", "no_video", 1),
     (None, "audio", "unsupported", 1)],
)  # fmt: skip
def test_what_was_recorded_is_no_failure_of_the_sound(seconds, target, found, exit_status, tmp_path, capsys):
    clip = tmp_path / "a.wav"
    if seconds is None:
        clip.write_bytes(b"no sound")
    else:
        with wave.open(str(clip), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(bytes(2 * round(seconds * 16_000)))
    words = ["run", target, str(clip), "--store", str(tmp_path / "store")]
    for _ in range(2):  # computed, and found in the store
        assert main(words) == exit_status
        said = capsys.readouterr()
        assert said.out.split("\t")[1:3] == [target, found]
        assert (found in said.err) == bool(exit_status)
    assert main([*words, "--dry-run"]) == 0
    assert "\thit\t" in capsys.readouterr().out
