// Starts `glo lsp` and connects the editor to it. Colours need nothing of this.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("glo").get("command");
  client = new LanguageClient("glo", "glo", { command, args }, { documentSelector: [{ language: "glo" }] });
  try {
    await client.start();
  } catch (error) {
    const hint = "pip install 'glo-dsl[lsp]', or say in the setting glo.command where glo is";
    vscode.window.showWarningMessage(`${command} does not start: ${error.message ?? error}. ${hint}`);
  }
}

async function stop() {
  const stopping = client;
  client = undefined;
  if (stopping?.isRunning()) await stopping.stop();
}

exports.activate = async (context) => {
  const changed = vscode.workspace.onDidChangeConfiguration(async (event) => {
    if (event.affectsConfiguration("glo.command")) {
      await stop();
      await start();
    }
  });
  context.subscriptions.push(changed);
  await start();
};

exports.deactivate = stop;
