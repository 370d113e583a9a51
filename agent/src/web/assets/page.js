'use strict';
// Keeps an open page at what a reload would show: when the agent says that something has changed, the page is asked for
// again, and the parts of it that are different are exchanged. Everything else stays: focus, scrolling, what is typed.
(() => {
  const live = document.getElementById('live');
  const served = new Map();
  let version = document.body.dataset.version;
  let wanted = version;
  let busy = false;
  let stream;
  let polling;

  const parts = (root) => new Map([...root.querySelectorAll('[data-part]')].map((part) => [part.id, part]));
  const remember = (root) => { for (const [id, part] of parts(root)) served.set(id, part.outerHTML); };

  const say = (text, on) => {
    live.toggleAttribute('data-on', on);
    live.toggleAttribute('data-off', !on);
    if (live.textContent !== text) live.textContent = text;
  };

  // "3 min ago" beside times that people read; the time itself stays in the title.
  const ago = (then) => {
    const seconds = Math.round((Date.now() - then) / 1000);
    const [count, unit] = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]
      .map(([size, name]) => [Math.floor(Math.abs(seconds) / size), name])
      .find(([number]) => number > 0) || [0, 's'];
    if (count === 0) return 'now';
    return seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
  };
  const ages = () => {
    for (const time of document.querySelectorAll('time')) {
      if (!time.title) time.title = time.textContent;
      const text = ago(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const copies = () => {
    for (const code of document.querySelectorAll('code[data-copy]')) {
      const file = code.closest('.file');
      if (!navigator.clipboard || file.querySelector('button')) continue;
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = 'Copy';
      button.setAttribute('aria-label', `Copy ${code.dataset.copy}`);
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = 'Copied';
        setTimeout(() => { button.textContent = 'Copy'; }, 2000);
      });
      file.append(button);
    }
  };

  const exchange = (next) => {
    const [here, there] = [parts(document), parts(next)];
    const same = here.size === there.size && [...here.keys()].every((id) => there.has(id));
    // The fleet is gone, or another replica works.
    if (here.has('head') !== there.has('head')) { location.reload(); return; }
    if (!same) {
      // Another kind of page: what was here is gone, or has come.
      document.querySelector('main').replaceWith(document.adoptNode(next.querySelector('main')));
    }
    for (const [id, part] of parts(document)) {
      const fresh = there.get(id);
      if (fresh === part) served.set(id, part.outerHTML);
      if (!fresh || fresh === part || served.get(id) === fresh.outerHTML) continue;
      const html = fresh.outerHTML;
      const scrolled = [...part.querySelectorAll('.picture, .wide')].map((box) => [box.scrollLeft, box.scrollTop]);
      const focused = part.contains(document.activeElement) ? document.activeElement : null;
      const key = focused && (focused.id || focused.getAttribute('href') || focused.getAttribute('aria-label'));
      part.replaceWith(document.adoptNode(fresh));
      served.set(id, html);
      [...fresh.querySelectorAll('.picture, .wide')].forEach((box, at) => {
        if (scrolled[at]) [box.scrollLeft, box.scrollTop] = scrolled[at];
      });
      if (key) {
        const again = [...fresh.querySelectorAll('a, button, [tabindex]')].find((one) =>
          [one.id, one.getAttribute('href'), one.getAttribute('aria-label')].includes(key));
        if (again) again.focus({ preventScroll: true });
      }
    }
    document.title = next.title;
    ages();
    copies();
  };

  const update = async () => {
    if (busy || document.hidden || wanted === version) return;
    busy = true;
    try {
      const asked = wanted;
      const answer = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' });
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      if (!next.body.dataset.version) throw new Error(`answer ${answer.status}`);
      exchange(next);
      version = next.body.dataset.version;
      if (wanted === asked) wanted = version;
      say(`live · as of ${new Date().toLocaleTimeString()}`, true);
    } catch (error) {
      say('the agent does not answer; trying again', false);
      setTimeout(update, 3000);
    } finally {
      busy = false;
    }
    if (wanted !== version) setTimeout(update, 0);
  };

  // Where no stream is to be had (too many pages are open), the page asks now and then.
  const poll = () => {
    clearTimeout(polling);
    polling = setTimeout(() => { wanted = ''; update(); open(); }, 15000);
  };

  const open = () => {
    clearTimeout(polling);
    stream = new EventSource('/live');
    stream.addEventListener('change', (event) => { wanted = event.data; update(); });
    stream.addEventListener('open', () => say('live', true));
    stream.addEventListener('error', () => {
      say('the agent does not answer; trying again', false);
      if (stream.readyState === EventSource.CLOSED) poll();
    });
  };

  remember(document);
  ages();
  copies();
  setInterval(ages, 10000);
  document.addEventListener('visibilitychange', update);
  // A page that is left gives its stream back; one that is come back to opens another.
  addEventListener('pagehide', () => { clearTimeout(polling); stream.close(); });
  addEventListener('pageshow', (event) => { if (event.persisted) open(); });
  open();
})();
