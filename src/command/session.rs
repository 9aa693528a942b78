//! What every command works with: what it may not show, how it speaks, and how it reaches the world.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use terminal_size::{Width, terminal_size_of};

use super::process::{Process, secret_file, whole_file};
use crate::cli::{AccessArgs, CloudArgs, ColorWhen, CredentialArgs, GoogleArgs, OutputArgs};
use crate::google::{AccessAuth, AccessTokens, Api, CredentialsFile, IdentityTokens, Metadata, TokenSource};
use crate::http::{Address, Client, Transport, proxy_secrets};
use crate::observe::{self, LogFormat};
use crate::outcome::{Diagnostic, Exit};
use crate::plan::Lookup as _;
use crate::report::Style;
use crate::text::{self, Redactor};

/// The largest file of CAs: all public ones are a twentieth of it.
const MAX_CA_FILE: u64 = 4 * 1024 * 1024;

/// Why a command ends without having done what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandError {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl CommandError {
    /// Found before any request is made.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// Two things that went wrong.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.message.push('\n');
        self.message.push_str(&other.message);
        Self { exit: self.exit.max(other.exit), ..self }
    }

    pub(crate) fn no_verdict(message: impl Into<String>) -> Self {
        Self { exit: Exit::NoVerdict, message: message.into() }
    }
}

impl From<Vec<Diagnostic>> for CommandError {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        // A file of another kind has more mistakes than anybody reads.
        const SHOWN: usize = 100;
        let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        let shown = text::joined(&lines, SHOWN, "\n");
        Self::usage(if lines.len() > 1 { format!("{} mistakes:\n{shown}", lines.len()) } else { shown })
    }
}

impl From<Diagnostic> for CommandError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::from(vec![diagnostic])
    }
}

/// What every command works with.
pub(crate) struct Session {
    pub(crate) redactor: Redactor,
    pub(crate) quiet: bool,
    /// Whether standard error is a log in JSON: then nothing else may be written there.
    pub(crate) logs_json: bool,
    color: ColorWhen,
}

/// Google's APIs, as the commands around the gate ask them.
pub(super) struct Cloud {
    pub(super) deploy: Api,
    pub(super) run: Api,
    pub(super) logging: Api,
    pub(super) monitoring: Api,
    pub(super) storage: Api,
    pub(super) identity: Rc<IdentityTokens>,
    pub(super) access: Rc<AccessTokens>,
}

/// What Google Cloud is asked with.
pub(super) struct Google {
    pub(super) run: Api,
    pub(super) identity: Rc<IdentityTokens>,
    pub(super) access: Rc<AccessAuth>,
}

impl Session {
    pub(crate) fn new(output: &OutputArgs) -> Self {
        Self { redactor: Redactor::default(), quiet: output.quiet, logs_json: false, color: output.color }
    }

    /// Starts the log, where one is wanted.
    ///
    /// # Errors
    /// A `RUST_LOG` that cannot be read.
    pub(crate) fn start_log(&mut self, output: &OutputArgs) -> Result<(), CommandError> {
        let asked = observe::Asked { verbose: output.verbose, level: output.log_level, format: output.log_format };
        observe::start_log(asked, variable("RUST_LOG").as_deref(), &self.redactor).map_err(CommandError::usage)?;
        self.logs_json = output.log_format == Some(LogFormat::Json) && observe::Log::is_on();
        Ok(())
    }

    /// Tells the person what is wrong, or the log where a machine reads it. (A standard error that is gone wants to know
    /// nothing.)
    pub(crate) fn complain(&self, message: &str) {
        if self.logs_json && observe::Log::complaint(&self.redactor, message) {
            return;
        }
        let text = text::escaped_lines(&self.redactor.clean(message));
        let _ = writeln!(io::stderr(), "canary-gate: {text}");
    }

    /// Writes to standard output what is redacted already: of a finished text, the gate's own words cannot be told apart. A
    /// reader that has gone away wants no more and is no error.
    ///
    /// # Errors
    /// Any other reason why it cannot be written.
    #[expect(clippy::unused_self, reason = "what reaches the world goes through the session")]
    pub(crate) fn print(&self, text: &str) -> Result<(), CommandError> {
        let mut out = io::stdout();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CommandError::no_verdict(format!("standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether text for standard output (or else standard error) is coloured.
    pub(crate) fn style(&self, to_stdout: bool) -> Style {
        let terminal = if to_stdout { io::stdout().is_terminal() } else { io::stderr().is_terminal() };
        let coloured = match self.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto if variable("NO_COLOR").is_some() => false,
            ColorWhen::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            ColorWhen::Auto => terminal && variable("TERM").as_deref() != Some("dumb"),
        };
        if coloured { Style::Coloured } else { Style::Plain }
    }

    /// Whether lines on standard error can be drawn anew.
    pub(super) fn can_draw() -> bool {
        io::stderr().is_terminal() && variable("TERM").as_deref() != Some("dumb")
    }

    /// How many columns standard output (or else standard error) has, where it is a terminal.
    pub(super) fn columns(to_stdout: bool) -> Option<usize> {
        let size = if to_stdout { terminal_size_of(io::stdout()) } else { terminal_size_of(io::stderr()) };
        size.map(|(Width(columns), _)| usize::from(columns)).filter(|columns| *columns > 0)
    }

    /// Where references of a checks file lead.
    pub(super) fn lookup(&self) -> Process<'_> {
        Process { redactor: &self.redactor }
    }

    /// How requests are sent.
    ///
    /// # Errors
    /// A CA file that cannot be used, or a proxy that the environment names and that cannot be one.
    pub(super) fn transport(&self, ca_file: Option<&Path>) -> Result<Transport, CommandError> {
        for secret in proxy_secrets(&variable) {
            self.redactor.hide(&secret);
        }
        let pem = ca_file.map(|path| whole_file(path, MAX_CA_FILE)).transpose();
        let pem = pem.map_err(|error| CommandError::usage(format!("--ca-file: {error}")))?;
        let ca = ca_file.zip(pem.as_deref());
        Transport::new(ca).map_err(CommandError::usage)
    }

    /// The clients of Google's APIs.
    ///
    /// # Errors
    /// An endpoint that is not an address, or a token's file that cannot be read.
    pub(super) fn google(&self, args: &GoogleArgs, transport: &Transport) -> Result<Google, CommandError> {
        let (identity, access) = self.credentials(&args.credentials, transport)?;
        let run = endpoint(transport, "--run-endpoint", &args.run_endpoint)?;
        let run = Api::new("the Cloud Run Admin API", run, access.clone());
        Ok(Google { run, identity, access: Rc::new(AccessAuth::new(access)) })
    }

    /// What requests to a private service prove themselves with, and the access tokens behind it.
    ///
    /// # Errors
    /// An endpoint that is not an address, or a token's file that cannot be read.
    pub(super) fn credentials(
        &self,
        args: &CredentialArgs,
        transport: &Transport,
    ) -> Result<(Rc<IdentityTokens>, Rc<AccessTokens>), CommandError> {
        self.tokens(&args.access, &args.iam_endpoint, args.id_token_file.as_deref(), transport)
    }

    /// Identity tokens, those of a file or a variable or else made by IAM, and the access tokens behind them.
    fn tokens(
        &self,
        access: &AccessArgs,
        iam_endpoint: &str,
        id_token_file: Option<&Path>,
        transport: &Transport,
    ) -> Result<(Rc<IdentityTokens>, Rc<AccessTokens>), CommandError> {
        let (metadata, access) = self.access(access, transport)?;
        let iam = endpoint(transport, "--iam-endpoint", iam_endpoint)?;
        let iam = Api::new("the IAM Credentials API", iam, access.clone());
        let given = match id_token_file {
            Some(path) => {
                let token = self.lookup().file(&path.display().to_string());
                Some(token.map_err(|error| CommandError::usage(format!("--id-token-file: {error}")))?)
            }
            None => variable("CANARY_GATE_ID_TOKEN"),
        };
        let source = if id_token_file.is_some() { "--id-token-file" } else { "CANARY_GATE_ID_TOKEN" };
        let identity = IdentityTokens::new(metadata, access.clone(), iam, given.as_deref(), self.redactor.clone())
            .map_err(|why| CommandError::usage(format!("{source}: the token {why}")))?;
        Ok((Rc::new(identity), access))
    }

    /// How requests are sent, and the clients of every API that the commands around the gate ask.
    ///
    /// # Errors
    /// A CA file that cannot be used, or an endpoint that is not an address.
    pub(super) fn cloud(&self, args: &CloudArgs) -> Result<(Transport, Cloud), CommandError> {
        let transport = self.transport(args.network.ca_file.as_deref())?;
        let endpoints = &args.endpoints;
        let (identity, access) = self.tokens(&args.access, &endpoints.iam_endpoint, None, &transport)?;
        let api = |name, flag: &str, written: &str| {
            Ok::<_, CommandError>(Api::new(name, endpoint(&transport, flag, written)?, access.clone()))
        };
        let cloud = Cloud {
            deploy: api("the Cloud Deploy API", "--deploy-endpoint", &endpoints.deploy_endpoint)?,
            run: api("the Cloud Run Admin API", "--run-endpoint", &endpoints.run_endpoint)?,
            logging: api("Cloud Logging", "--logging-endpoint", &endpoints.logging_endpoint)?,
            monitoring: api("Cloud Monitoring", "--monitoring-endpoint", &endpoints.monitoring_endpoint)?,
            storage: api("Cloud Storage", "--storage-endpoint", &endpoints.storage_endpoint)?,
            identity,
            access: access.clone(),
        };
        Ok((transport, cloud))
    }

    /// The metadata server, where the tokens are its, and the access tokens: those that were passed, else those of the application
    /// default credentials, else those of the metadata server.
    ///
    /// # Errors
    /// A `GCE_METADATA_HOST` or an endpoint that is not an address.
    pub(super) fn access(
        &self,
        args: &AccessArgs,
        transport: &Transport,
    ) -> Result<(Option<Rc<Metadata>>, Rc<AccessTokens>), CommandError> {
        let oauth = endpoint(transport, "--oauth-endpoint", &args.oauth_endpoint)?;
        let host = variable("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".into());
        let address = Address::parse(&format!("http://{host}"))
            .map_err(|error| CommandError::usage(format!("GCE_METADATA_HOST: {error}")))?;
        let mut metadata = None;
        let source = if let Some(path) = args.access_token_file.clone() {
            let from = format!("the access token in {}", path.display());
            TokenSource::Given { read: Box::new(move || secret_file(&path.display().to_string())), from, oauth }
        } else if let Some(token) = variable("CANARY_GATE_ACCESS_TOKEN") {
            self.redactor.hide(token.trim());
            TokenSource::Given {
                read: Box::new(move || Ok(token.clone())),
                from: "CANARY_GATE_ACCESS_TOKEN".into(),
                oauth,
            }
        } else if let Some(path) = default_credentials() {
            let file = secret_file(&path).and_then(|text| {
                CredentialsFile::parse(&text, &path, transport.clone(), oauth, secret_file, self.redactor.clone())
            });
            file.map_or_else(TokenSource::Unusable, |file| TokenSource::File(Box::new(file)))
        } else {
            let machine = Rc::new(Metadata::new(transport, address));
            metadata = Some(machine.clone());
            TokenSource::Metadata(machine)
        };
        Ok((metadata, Rc::new(AccessTokens::new(source, self.redactor.clone()))))
    }

    /// A runtime for one thread of I/O.
    ///
    /// # Errors
    /// A system that has no resources left for it.
    #[expect(clippy::unused_self, reason = "what reaches the world goes through the session")]
    pub(super) fn runtime(&self) -> Result<tokio::runtime::Runtime, CommandError> {
        // The runtime ends the process where it lacks descriptors for its signals: as many are tried first.
        const PAIRS: usize = 5;
        // Expressions are judged as deep as they are nested, also beside the main thread.
        const STACK: usize = 32 * 1024 * 1024;
        let pairs: Result<Vec<_>, _> = (0..PAIRS).map(|_| std::os::unix::net::UnixStream::pair()).collect();
        drop(pairs.map_err(|error| CommandError::no_verdict(format!("the runtime cannot be started: {error}")))?);
        // Nor does it go on where it lacks memory for a thread, which every name that is looked up takes.
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| ());
        let thread = thread.map_err(|error| CommandError::no_verdict(format!("no thread can be started: {error}")))?;
        // It does nothing, and so cannot fail.
        let _ = thread.join();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_stack_size(STACK)
            .build()
            .map_err(|error| CommandError::no_verdict(format!("the runtime cannot be started: {error}")))
    }
}

/// The client of an API at an address that a flag names.
fn endpoint(transport: &Transport, flag: &str, written: &str) -> Result<Client, CommandError> {
    let address = Address::parse(written).map_err(|error| CommandError::usage(format!("{flag}: {error}")))?;
    if !address.keeps_secrets() {
        let shown = address.shown();
        return Err(CommandError::usage(format!(
            "{flag}: {shown} would be sent access tokens in the clear: it has to be https"
        )));
    }
    transport.client(address, &[]).map_err(CommandError::usage)
}

/// The application default credentials' file: the one that is named, else the one that gcloud writes, where it is there.
fn default_credentials() -> Option<String> {
    const NAME: &str = "application_default_credentials.json";
    if let Some(named) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
        return Some(named);
    }
    let own = variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = own.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config/gcloud")))?;
    let path = folder.join(NAME);
    path.is_file().then(|| path.display().to_string())
}

/// An environment variable that is set and not empty: a build's substitution that nobody set is an empty variable.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
