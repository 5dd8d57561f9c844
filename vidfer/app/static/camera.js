// The camera of this browser, and a sentence for each way in which it cannot be had.

import { Problem } from "./dom.js";

const WHY = {
  NotAllowedError: "The browser did not allow it: allow the camera for this page (at the address bar), then try again.",
  NotFoundError: "No camera, or no microphone, was found: connect one, or record without sound.",
  NotReadableError: "The camera could not be read, perhaps because another program uses it: close that, then try again.",
  OverconstrainedError: "The camera has no picture of this size.",
};

/** Turn the camera on, with or without the microphone. Whoever gets the stream ends it by `turnOff`. */
export async function turnOn({ width, height, sound }, signal) {
  if (!navigator.mediaDevices) {
    throw new Problem("Browsers give the camera only to pages of this machine (127.0.0.1) and to those that come by https.");
  }
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 }, facingMode: "user" };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video, audio: sound });
  } catch (fault) {
    throw new Problem(WHY[fault.name] ?? `The camera cannot be used: ${fault.message}`);
  }
  if (signal.aborted) { // the view was left while the browser asked
    turnOff(stream);
    throw signal.reason;
  }
  return stream;
}

export function turnOff(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Show the camera's picture, once there is one; as in a mirror, unless the camera looks away from the user. */
export async function showIn(video, stream) {
  const away = stream.getVideoTracks()[0].getSettings().facingMode === "environment";
  video.classList.toggle("mirrored", !away);
  video.srcObject = stream;
  await video.play();
}
