// The till: reads a holder's code with the camera or from a picture. Pictures are decoded by the
// merchant's own server, so that nothing but a small script is needed here.

const FRAME_EVERY = 350;
const FRAME_WIDTH = 960;
const ADDRESS = "/till/pictures";

const form = document.querySelector("[data-till]");
if (form) begin(form);

function begin(till) {
  const find = (name) => till.querySelector(`[data-till-${name}]`);
  const video = till.querySelector("video");
  const text = till.querySelector("textarea");
  const say = (message) => (find("status").textContent = message);
  let stream = null;

  find("ways").hidden = false;
  find("camera").hidden = !navigator.mediaDevices;

  const read = (code) => {
    text.value = code;
    say("The code is read. Check the amount, then charge.");
    till.querySelector("button[type=submit]").focus();
  };

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    find("viewfinder").hidden = true;
  };

  find("camera").addEventListener("click", async () => {
    stop();
    try {
      const wanted = { video: { facingMode: "environment", width: { ideal: 1280 } } };
      stream = await navigator.mediaDevices.getUserMedia(wanted);
    } catch {
      say("The camera may not be used here; read a picture or paste the text.");
      return;
    }
    find("viewfinder").hidden = false;
    video.srcObject = stream;
    await video.play();
    say("Hold the code before the camera.");
    const own = stream;
    while (stream === own) {
      const code = await decode(await frame(video)).catch(() => null);
      if (code !== null && stream === own) {
        stop();
        read(code);
        return;
      }
      await new Promise((resume) => setTimeout(resume, FRAME_EVERY));
    }
  });

  find("camera-stop").addEventListener("click", () => {
    stop();
    say("");
  });

  find("picture").addEventListener("change", async (event) => {
    const [picture] = event.target.files;
    if (!picture) return;
    say("Reading the picture …");
    try {
      read(await decode(picture));
    } catch (error) {
      say(error.message);
    }
    event.target.value = "";
  });

  addEventListener("pagehide", stop);

  // The text of the code in a picture; throws what the server says otherwise.
  async function decode(picture) {
    const headers = { "Content-Type": picture.type, "X-Form-Token": till.dataset.formToken };
    const request = { method: "POST", headers, body: picture, redirect: "manual" };
    const answer = await fetch(ADDRESS, request).catch(() => {
      throw new Error("The merchant's server cannot be reached just now. Try again in a moment.");
    });
    if (answer.type === "opaqueredirect") throw new Error("You are logged out. Load the page again to log in.");
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.detail ?? said.title ?? "The picture cannot be read.");
    return said.code;
  }
}

// What the camera sees now, small enough to be sent.
async function frame(video) {
  const scale = Math.min(1, FRAME_WIDTH / video.videoWidth);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
}
