"""Ten tasks; `# %%` begins a cell, as editors and `jupytext --to notebook` understand it."""

# %% Before all others
import vidfer

# %% 1. Analyse one clip
result = vidfer.analyze("clip.mp4")
result

# %% 2. Analyse a folder
with vidfer.Analyzer(participants="participants.csv") as analyzer:
    for each in analyzer.analyze_many("clips"):
        each.save(f"run/{each.clip_id}")

# %% 3. Look at more frames per second
finer = vidfer.analyze("clip.mp4", fps=10)
len(result.frames), len(finer.frames)

# %% 4. Mean per second
seconds = result.seconds[["start_s", "happy", "sad", "usable_share"]]
smiles = seconds[seconds["happy"] > 0.5]

# %% 5. Plot a clip over time
figure = result.plot()
figure.savefig("clip.png")

# %% 6. Look at face images
images, time_s, person_id = result.crops()
first = images[time_s < 1.0]

# %% 7. Use the embeddings of faces
vectors = result.embeddings()
mean_face = vectors.groupby("person_id").mean()

# %% 8. Compare two conditions
comparison = vidfer.compare("run", by="condition", within="participant")
comparison.differences[["expression", "difference", "low", "high", "p_holm"]]

# %% 9. Load the results of an earlier run
run = vidfer.load_run("run")
run.clips[["clip_id", "condition", "predominant", "margin"]]

# %% 10. Answer live
from vidfer.media.decode import read_frames

for live in vidfer.Analyzer().stream(read_frames("clip.mp4")):
    print(live.time_s, [person.smooth_expression for person in live.people])
