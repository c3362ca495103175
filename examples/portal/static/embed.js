// Between this page and recado's, which stands in its frame. It hears that frame only, as long as it shows recado, and answers to no other origin.
// Loaded before the frame, so that nothing the frame asks is missed.
const HEIGHT_MIN = 320
const HEIGHT_MAX = 20000

addEventListener('message', (event) => {
  const frame = document.getElementById('recado')
  const recado = new URL(frame.src).origin
  if (event.source !== frame.contentWindow || event.origin !== recado) return
  const said = event.data
  switch (said?.type) {
    case 'recado.token_wanted':
      giveToken(frame, recado)
      break
    case 'recado.height':
      if (Number.isFinite(said.height)) frame.style.height = `${Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, said.height))}px`
      break
    case 'recado.shown':
      showWhere(frame, said.view)
      break
  }
})

/** The token of whoever is logged in here now. Nobody is: nothing is answered, and recado's page says that it got none. */
async function giveToken (frame, recado) {
  const answer = await fetch('/token', { cache: 'no-store', redirect: 'error' }).catch(() => null)
  if (!answer?.ok) return
  const { token } = await answer.json()
  frame.contentWindow.postMessage({ type: 'recado.token', token }, recado)
}

/** The frame went on to another view by itself: the menu says so, and its beginning is seen. */
function showWhere (frame, view) {
  for (const link of document.querySelectorAll('nav a')) {
    if (link.pathname === `/pages/${view}`) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  if (frame.getBoundingClientRect().top < 0) frame.scrollIntoView()
}
